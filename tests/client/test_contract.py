"""What holds for every client, whatever way it takes: the same program over Kafka and over HTTP, same answers."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import datetime

import pytest

from actionbus.client import Client, HttpClient, Runs, StartedRun, schedule
from actionbus.contracts.errors import Conflict, IdentifierRefused, PayloadRefused, Refused, RunFailed, Unavailable
from actionbus.contracts.events import WorkflowEvent
from actionbus.contracts.run import RunStatus
from actionbus.kafka.connection import Connection
from cli.gateway_process import ReadSide
from cli.installed import READY_SECONDS, Dev

pytestmark = pytest.mark.kafka
LIMIT = READY_SECONDS


@pytest.fixture(params=["kafka", "http"])
async def runs(request: pytest.FixtureRequest, installation: tuple[Dev, ReadSide]) -> AsyncIterator[Runs]:
    """A client of that installation, by either way."""
    dev, beside = installation
    made: Runs = HttpClient(beside.url)
    if request.param == "kafka":
        made = Client(Connection(bootstrap_servers=f"127.0.0.1:{dev.kafka_port}", client_id="contract"))
    async with made:
        yield made


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A run id of its own for each test and way."""
    return request.node.name.replace("[", "-").replace("]", "")


async def _history(run: StartedRun) -> list[WorkflowEvent]:
    """All of it, once the views of a gateway have it; they know nothing of who waits."""
    found: list[WorkflowEvent] = []
    async with asyncio.timeout(LIMIT):
        while not any(each.version and each.status.ended for each in found):
            await asyncio.sleep(0.1)
            found = await run.history()
    return [each for each in found if each.version]


async def test_a_run_gives_its_output(runs: Runs, name: str) -> None:
    """A run that was started gives its output, also to who did not start it."""
    run = await runs.start("hello", "Ada", run_id=name)
    assert await run.result(LIMIT) == "Hello, Ada!"
    assert await runs.handle(name).result(LIMIT) == "Hello, Ada!"


async def test_a_run_without_an_id_gets_one(runs: Runs) -> None:
    """An id is made where none is chosen, also one beside a key; no verdict need be waited for."""
    for chosen in ({}, {"partition_key": "ada"}, {"wait": False}, {"partition_key": "ada", "wait": False}):
        run = await runs.start("hello", "Ada", **chosen)
        assert await run.result(LIMIT) == "Hello, Ada!"


async def test_a_taken_id_is_a_conflict(runs: Runs, name: str) -> None:
    """Whoever waits for the start hears it, and whoever did not hears it instead of another run's result."""
    await runs.start("hello", "Ada", run_id=name)
    with pytest.raises(Conflict, match="taken"):
        await runs.start("hello", "Bob", run_id=name)
    unseen = await runs.start("hello", "Bob", run_id=name, wait=False)
    with pytest.raises(Conflict, match="taken"):
        await unseen.result(LIMIT)
    same = await runs.start("hello", "Ada", run_id=name, if_exists="return")
    assert await same.result(LIMIT) == "Hello, Ada!"


async def test_the_same_request_has_one_effect(runs: Runs, name: str) -> None:
    """A caller that is not sure asks again with the request's id."""
    for _ in range(2):
        run = await runs.start("hello", "Ada", run_id=name, request_id=f"r-{name}")
        assert await run.result(LIMIT) == "Hello, Ada!"


async def test_a_failed_run_raises_with_its_reason(runs: Runs, name: str) -> None:
    """RunFailed carries status and reason."""
    run = await runs.start("hello", "nobody", run_id=name)
    with pytest.raises(RunFailed, match="there is nobody to greet") as caught:
        await run.result(LIMIT)
    assert caught.value.status == "FAILED"


async def test_what_cannot_be_started_is_refused(runs: Runs, name: str) -> None:
    """An unknown workflow, an input that does not fit, a wrong id and a time without its zone."""
    with pytest.raises(Refused, match="unheard"):
        await runs.start("unheard", "Ada", run_id=name)
    with pytest.raises(Refused):
        await runs.start("hello", 7, run_id=name)
    with pytest.raises(PayloadRefused):
        await runs.start("hello", object(), run_id=name)
    with pytest.raises(IdentifierRefused):
        await runs.start("hello", "Ada", run_id="no/run")
    with pytest.raises(PayloadRefused, match="time zone"):
        await runs.start("hello", "Ada", run_id=name, begin_at=datetime(2026, 1, 1))  # noqa: DTZ001 - the point


async def test_nobody_is_no_run(runs: Runs, name: str) -> None:
    """What is asked of a run that never was is refused, and nothing is known of it."""
    run = runs.handle(name)
    assert await run.history() == []
    for ask in (run.state(), run.result(LIMIT), run.cancel(), run.signal("name", "Ada")):
        with pytest.raises(Refused):
            await ask


async def test_a_run_is_asked_things(runs: Runs, name: str) -> None:
    """Pause and resume are carried out when they return, a second one is a conflict, a signal lets the run go on."""
    run = await runs.start("asks", "Ada", run_id=name)
    await run.pause("lunch", requested_by="Ada")
    assert (await run.state()).status is RunStatus.PAUSED
    with pytest.raises(Conflict, match="paused"):
        await run.pause()
    await run.resume()
    with pytest.raises(Conflict):
        await run.signal("name", 7)
    await run.signal("name", "Bob")
    assert await run.result(LIMIT) == "Hello, Bob!"
    with pytest.raises(Conflict, match="ended"):
        await run.cancel()


async def test_a_run_is_cancelled_and_restarted(runs: Runs, name: str) -> None:
    """An ended run begins again with its input, and is another life of its id."""
    run = await runs.start("asks", "Ada", run_id=name)
    first = (await run.state()).incarnation
    await run.cancel("enough")
    with pytest.raises(RunFailed, match="CANCELLED"):
        await run.result(LIMIT)
    await run.restart()
    state = await run.state()
    assert (state.status, state.incarnation == first) == (RunStatus.RUNNING, False)
    await run.terminate()


async def test_who_waits_too_short_hears_it(runs: Runs, name: str) -> None:
    """A result that is not there in time is Unavailable, and the run goes on."""
    run = await runs.start("asks", "Ada", run_id=name)
    with pytest.raises(Unavailable):
        await run.result(0.5)
    assert (await run.state()).status is RunStatus.RUNNING
    await run.terminate()


async def test_a_signal_starts_a_run_that_is_not_there(runs: Runs, name: str) -> None:
    """All or nothing, and the run that is there gets it otherwise."""
    run = await runs.signal_with_start("asks", "name", "Bob", run_id=name, input="Ada")
    assert await run.result(LIMIT) == "Hello, Bob!"


async def test_a_run_is_followed_to_its_end(runs: Runs, name: str) -> None:
    """What happened comes first, then what happens, each once and in order, and the end ends it."""
    run = await runs.start("asks", "Ada", run_id=name)
    seen: list[int] = []
    async with asyncio.timeout(LIMIT), aclosing(run.follow()) as events:
        async for event in events:
            if event.version:
                seen.append(event.version)
            if any(entry.kind == "wait_began" for entry in event.entries):
                await run.signal("name", "Bob")
    assert seen == list(range(1, seen[-1] + 1))
    assert (await run.state()).version >= seen[-1]


async def test_state_and_history_are_records(runs: Runs, name: str) -> None:
    """Both are what the topics hold, with their payloads."""
    run = await runs.start("hello", "Ada", run_id=name)
    await run.result(LIMIT)
    state = await run.state()
    assert (state.run_id, state.workflow, state.status, state.output) == (
        name, "hello", RunStatus.COMPLETED, b'"Hello, Ada!"'
    )  # fmt: skip
    found = await _history(run)
    assert found[-1].entries[-1].data == b'"Hello, Ada!"'


async def test_a_schedule_is_asked_things(runs: Runs, name: str) -> None:
    """Created, looked at, triggered, paused and ended."""
    made = await runs.create_schedule(name, schedule("hello", "Ada", every="6h"))
    await made.trigger()
    found = await runs.schedule(name).state()
    assert found.schedule is not None
    assert (found.schedule.workflow, len(found.upcoming())) == ("hello", 5)
    await made.pause()
    assert (await made.state()).status is RunStatus.PAUSED
    with pytest.raises(Conflict, match="taken"):
        await runs.create_schedule(name, schedule("hello", "Ada", every="6h"))
    await made.delete()
    assert (await made.state()).status is RunStatus.TERMINATED
