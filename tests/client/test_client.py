"""The client against real topics: what callers are told, whatever happens to their runs."""

import asyncio
import json
from dataclasses import dataclass

import pytest

from actionbus.client import Client, run_ids
from actionbus.contracts.errors import (
    Conflict,
    IdentifierRefused,
    PayloadRefused,
    Refused,
    RunFailed,
    TopicMissing,
    Unavailable,
)
from actionbus.contracts.events import EntryKind, WorkflowEvent
from actionbus.contracts.limits import Limits
from actionbus.contracts.records import OutRecord
from actionbus.contracts.run import RunStatus
from actionbus.kafka.connection import Connection
from actionbus.kafka.partitioning import partition_for
from client import answering
from client.answering import ADA, HELLO, LIMIT, Answering


async def _until(condition) -> None:
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110 - what changes knows nothing of who waits
            await asyncio.sleep(0.01)


async def test_a_run_gives_its_output(client: Client) -> None:
    """Start by name, wait for the result: the workflow's output comes back."""
    handle = await client.start("hello", ADA, run_id="a")
    assert await handle.result(LIMIT) == ADA


async def test_the_result_is_seen_without_waiting_for_the_start(client: Client) -> None:
    """A caller that did not wait for the verdict waits for the result instead."""
    handle = await client.start("hello", ADA, wait=False)
    assert await handle.result(LIMIT) == ADA


async def test_a_run_without_an_id_gets_one(client: Client, orchestrator: Answering) -> None:
    """An id is made for a caller who chose none."""
    handle = await client.start("hello", ADA)
    assert orchestrator.runs[handle.run_id].workflow == "hello"


def test_made_ids_sort_by_time_and_never_repeat() -> None:
    """Ids made one after the other are different, valid, and in order as far as the clock tells."""
    ids = [run_ids.fresh() for _ in range(1_000)]
    assert len(set(ids)) == 1_000
    times = [each[:13] for each in ids]
    assert times == sorted(times)
    assert {each[14] for each in ids} == {"7"}


def test_ids_made_with_one_key_fall_on_one_shard() -> None:
    """They are as fresh as others, and their shard is that of the key."""
    for key in ("ada", "a customer with an \N{SNOWMAN}"):
        ids = [run_ids.beside(key, 8) for _ in range(20)]
        assert len(set(ids)) == 20
        assert {partition_for(each.encode(), 8) for each in ids} == {partition_for(key.encode(), 8)}


async def test_an_id_and_a_partition_key_do_not_go_together(client: Client, orchestrator: Answering) -> None:
    """The id says the shard; a run that has only the key is started on the key's shard."""
    with pytest.raises(Refused, match="not both"):
        await client.start("hello", ADA, run_id="a", partition_key="b")
    handle = await client.start("hello", ADA, partition_key="b")
    assert orchestrator.runs[handle.run_id].workflow == "hello"


async def test_a_failed_run_raises_with_its_reason(client: Client, orchestrator: Answering) -> None:
    """A run that ends without success raises RunFailed with status and reason."""
    orchestrator.failing.add("greet")
    handle = await client.start("hello", ADA, run_id="a")
    with pytest.raises(RunFailed, match="it does not work") as caught:
        await handle.result(LIMIT)
    assert caught.value.status == "FAILED"
    with pytest.raises(RunFailed, match="it does not work"):
        await client.handle("a").result(LIMIT)


async def test_the_same_request_asked_twice_has_one_effect(client: Client, orchestrator: Answering) -> None:
    """A caller that is not sure asks again with the same request id, and gets the same run."""
    for _ in range(2):
        handle = await client.start("hello", ADA, run_id="a", request_id="r")
        assert await handle.result(LIMIT) == ADA
    assert orchestrator.runs["a"].start_request_id == "r"


async def test_a_taken_id_is_a_conflict(client: Client) -> None:
    """Another start with the id of a run is refused as a conflict, whether that run lives or has ended."""
    await client.start("hello", ADA, run_id="a")
    with pytest.raises(Conflict, match="taken"):
        await client.start("hello", ADA, run_id="a")
    handle = await client.start("hello", ADA, run_id="a", wait=False)
    with pytest.raises(Conflict, match="taken"):
        await handle.result(LIMIT)


async def test_the_end_of_an_older_run_is_not_taken_for_this_one(client: Client, orchestrator: Answering) -> None:
    """A caller whose start was refused because the id is taken never gets the other run's output."""
    orchestrator.held.add("second")
    other = await client.start("two", ADA, run_id="a")
    mine = await client.start("two", {"name": "Bob"}, run_id="a", wait=False)
    with pytest.raises(Conflict):
        await mine.accepted(LIMIT)
    await orchestrator.release("a")
    assert await other.result(LIMIT) == ADA
    with pytest.raises(Conflict):
        await mine.result(LIMIT)


async def test_an_unknown_workflow_is_refused(client: Client) -> None:
    """Nobody knows the workflow: the caller is told so, not left waiting."""
    with pytest.raises(Refused, match="no workflow nothing"):
        await client.start("nothing", ADA)


async def test_an_input_that_breaks_the_schema_is_refused_by_the_orchestrator(client: Client) -> None:
    """The orchestrator's refusal of an input reaches the caller with the reason."""
    with pytest.raises(Refused, match="name"):
        await client.start("hello", {"nome": "Ada"})


@dataclass
class Greeting:
    """An input as a dataclass."""

    name: str


class Code:
    """A workflow as code."""

    graph = HELLO


async def test_a_workflow_as_code_checks_the_input_before_it_is_sent(client: Client, orchestrator: Answering) -> None:
    """A workflow object refuses a wrong input at once, and takes whatever pydantic can write."""
    with pytest.raises(PayloadRefused, match="name"):
        await client.start(Code(), {"nome": "Ada"}, run_id="a")
    assert "a" not in orchestrator.runs
    assert await (await client.start(Code(), Greeting("Ada"))).result(LIMIT) == ADA


@pytest.mark.parametrize("run_id", ["a/b", "", "-a", "a" * 201, "!position"])
async def test_a_run_id_outside_the_grammar_is_refused(client: Client, run_id: str) -> None:
    """What cannot be a run id never leaves the caller."""
    if run_id:
        with pytest.raises(IdentifierRefused):
            await client.start("hello", ADA, run_id=run_id)
    with pytest.raises(IdentifierRefused):
        client.handle(run_id)


@pytest.mark.parametrize("name", ["Hello", "hello@", "hello@1@2", "a b"])
async def test_a_name_that_cannot_be_a_workflow_is_refused(client: Client, name: str) -> None:
    """What cannot be a workflow's name or version never leaves the caller."""
    with pytest.raises(IdentifierRefused):
        await client.start(name, ADA)


@pytest.mark.parametrize("value", [float("nan"), object(), {"name": "\ud800"}])
async def test_what_json_cannot_say_is_refused(client: Client, value: object) -> None:
    """An input without a JSON form never leaves the caller."""
    with pytest.raises(PayloadRefused):
        await client.start("hello", value)


@pytest.mark.usefixtures("orchestrator")
async def test_an_input_over_the_limit_is_refused(connection: Connection, prefix: str) -> None:
    """One byte over the limit is refused with both sizes; the limit itself is accepted."""
    exact = {"name": "x" * (1_000 - len(json.dumps({"name": ""}, separators=(",", ":"))))}
    async with Client(connection, prefix, limits=Limits(payload_bytes=1_000)) as client:
        assert await (await client.start("hello", exact)).result(LIMIT) == exact
        with pytest.raises(PayloadRefused, match="1001 bytes, 1000 are allowed"):
            await client.start("hello", {"name": exact["name"] + "x"})


async def test_a_run_is_cancelled(client: Client, orchestrator: Answering) -> None:
    """Cancelling a run ends it as CANCELLED, with the reason."""
    orchestrator.held.add("second")
    handle = await client.start("two", ADA, run_id="a")
    await handle.cancel("nobody needs it", requested_by="a test")
    with pytest.raises(RunFailed, match="nobody needs it") as caught:
        await handle.result(LIMIT)
    assert caught.value.status == "CANCELLED"


async def test_an_ended_run_cannot_be_cancelled(client: Client) -> None:
    """Cancelling a run that has ended is a conflict; cancelling none is refused."""
    handle = await client.start("hello", ADA)
    await handle.result(LIMIT)
    with pytest.raises(Conflict, match="ended"):
        await handle.cancel()
    with pytest.raises(Refused, match="no run"):
        await client.handle("nobody").cancel()


async def test_a_run_is_found_by_its_id(client: Client, orchestrator: Answering) -> None:
    """Another client, later, sees state and result of a run it did not start, whether it has ended or not."""
    orchestrator.held.add("second")
    await client.start("two", ADA, run_id="a")
    found = client.handle("a")
    assert (await found.state()).status is RunStatus.RUNNING
    waiting = asyncio.create_task(found.result(LIMIT))
    await orchestrator.release("a")
    assert await waiting == ADA
    assert await found.result(LIMIT) == ADA
    assert (await found.state()).status is RunStatus.COMPLETED


async def test_a_run_that_never_was_is_refused(client: Client) -> None:
    """State and result of an unknown id say that there is no such run; its history is empty."""
    handle = client.handle("nobody")
    with pytest.raises(Refused, match="no run nobody"):
        await handle.state()
    with pytest.raises(Refused, match="no run nobody"):
        await handle.result(LIMIT)
    assert await handle.history() == []


async def test_the_history_tells_the_run_in_order(client: Client) -> None:
    """All events of a run, and of no other, oldest first."""
    for name in ("a", "b"):
        await (await client.start("two", ADA, run_id=name)).result(LIMIT)
    events = await client.handle("a").history()
    assert {event.run_id for event in events} == {"a"}
    assert [event.version for event in events] == list(range(1, len(events) + 1))
    assert events[-1].entries[-1].kind is EntryKind.RUN_ENDED


async def test_following_gives_every_event_once(client: Client, orchestrator: Answering) -> None:
    """A follower gets what happened and what happens, each event once, and ends with the run."""
    orchestrator.held.add("second")
    await client.start("two", ADA, run_id="a")
    await _until(lambda: len(orchestrator.runs["a"].steps) == 1 and orchestrator.runs["a"].version >= 2)
    seen: list[WorkflowEvent] = []

    async def follow() -> None:
        async for event in client.handle("a").follow():
            seen.append(event)  # noqa: PERF401 - the test looks at it while it grows

    following = asyncio.create_task(follow())
    await _until(lambda: len(seen) >= 2)
    await orchestrator.release("a")
    await asyncio.wait_for(following, LIMIT)
    assert seen == await client.handle("a").history()
    assert [event async for event in client.handle("a").follow()] == seen


async def test_nobody_answers(connection: Connection, prefix: str) -> None:
    """Without an orchestrator a start is not lost: the caller is told, and the run begins once one is there."""
    async with Answering(connection, prefix, [HELLO]) as orchestrator:
        async with Client(connection, prefix, verdict_seconds=0.2) as client:
            with pytest.raises(Unavailable, match="whether an orchestrator runs"):
                await client.start("hello", ADA, run_id="a", request_id="r")
        orchestrator.begin()
        async with Client(connection, prefix) as client:
            handle = await client.start("hello", ADA, run_id="a", request_id="r")
            assert await handle.result(LIMIT) == ADA


async def test_giving_up_on_a_result_does_not_lose_it(client: Client, orchestrator: Answering) -> None:
    """A result that did not come in time can be waited for again."""
    orchestrator.held.add("greet")
    handle = await client.start("hello", ADA, run_id="a")
    with pytest.raises(Unavailable, match=r"within 0\.05 s"):
        await handle.result(0.05)
    await orchestrator.release("a")
    assert await handle.result(LIMIT) == ADA


async def test_two_thousand_runs_share_one_client(client: Client) -> None:
    """Thousands of runs in flight through one client: each caller gets its own result."""

    async def one(number: int) -> bool:
        value = {"name": str(number)}
        return await (await client.start("hello", value, wait=False)).result() == value

    assert all(await asyncio.gather(*(one(number) for number in range(2_000))))


async def test_an_unreadable_event_does_not_stop_the_others(client: Client, orchestrator: Answering) -> None:
    """Bytes that are no event, under the key of an awaited run, are passed over."""
    orchestrator.held.add("greet")
    handle = await client.start("hello", ADA, run_id="a")
    topics = orchestrator.topics
    await orchestrator._producer.append(
        topics.events, partition_for(b"a", answering.SHARDS), [OutRecord(key=b"a", value=b"\xc3\x01no event")]
    )
    await orchestrator.release("a")
    assert await handle.result(LIMIT) == ADA


async def test_closing_the_client_wakes_who_waits(orchestrator: Answering, connection: Connection, prefix: str) -> None:
    """Whoever still waits when the client is closed gets an error, and hangs never."""
    orchestrator.held.add("greet")
    async with Client(connection, prefix) as client:
        waiting = asyncio.create_task((await client.start("hello", ADA)).result())
        await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="closed"):
        await waiting


async def test_nothing_listens_at_the_address(prefix: str) -> None:
    """Where no broker answers, the error names the address."""
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
        async with Client(Connection(bootstrap_servers="127.0.0.1:1"), prefix):
            pass


@pytest.mark.usefixtures("short_search")
async def test_an_installation_that_is_not_there_is_named(connection: Connection, prefix: str) -> None:
    """On a cluster without the topics the error says what makes them."""
    with pytest.raises(TopicMissing, match="topics apply"):
        async with Client(connection, prefix):
            pass
