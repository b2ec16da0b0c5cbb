"""What a client asks of runs that are under way, against real topics and the real engine."""

from datetime import UTC, datetime

import pytest

from actionbus.client import Client, RunHandle
from actionbus.contracts.errors import Conflict, IdentifierRefused, PayloadRefused, Refused, RunFailed
from actionbus.contracts.events import EntryKind
from actionbus.contracts.requests import RequestKind
from actionbus.contracts.run import RunStatus, StepStatus
from client.answering import ADA, LIMIT, Answering

VERBS = {
    "signal": lambda run, **asked: run.signal("name", "Ada", **asked),
    "cancel": lambda run, **asked: run.cancel(**asked),
    "terminate": lambda run, **asked: run.terminate(**asked),
    "pause": lambda run, **asked: run.pause(**asked),
    "resume": lambda run, **asked: run.resume(**asked),
    "retry_step": lambda run, **asked: run.retry_step("first", **asked),
    "skip_step": lambda run, **asked: run.skip_step("first", 1, **asked),
    "complete_step": lambda run, **asked: run.complete_step("first", 1, **asked),
    "migrate": lambda run, **asked: run.migrate("2", **asked),
    "change_timer": lambda run, **asked: run.change_timer("night", datetime.now(UTC), **asked),
}


@pytest.fixture
async def stuck(client: Client, orchestrator: Answering) -> RunHandle:
    """A run whose first step waits for an operator."""
    orchestrator.failing.add("first")
    run = await client.start("asks", run_id="a")
    while (await run.state()).incident is None:
        pass
    orchestrator.failing.clear()
    return run


@pytest.mark.parametrize("verb", VERBS)
async def test_a_run_that_is_not_there_or_has_ended_is_asked_in_vain(client: Client, verb: str) -> None:
    """Every verb refuses a run that never was, and is in conflict with one that has ended."""
    with pytest.raises(Refused, match="no run"):
        await VERBS[verb](client.handle("nobody"))
    ended = await client.start("hello", ADA)
    await ended.result(LIMIT)
    with pytest.raises(Conflict, match="ended already: it is COMPLETED"):
        await VERBS[verb](ended)


async def test_the_same_request_id_has_one_effect(client: Client, orchestrator: Answering) -> None:
    """A signal that is sent again with its id is accepted and not delivered again; the history names who asked."""
    orchestrator.held.add("first")
    run = await client.start("asks", run_id="a")
    for _ in range(2):
        await run.signal("name", "Ada", request_id="s", requested_by="a test")
    assert [signal.payload for signal in (await run.state()).signals] == [b'"Ada"']
    await run.pause("lunch", requested_by="a test")
    (told,) = [entry for event in await run.history() for entry in event.entries if entry.kind is EntryKind.RUN_PAUSED]
    assert told.reason == "a test: lunch"


async def test_a_caller_need_not_wait_for_the_verdict(client: Client, orchestrator: Answering) -> None:
    """With wait=False the request is in the log when the verb returns, whatever becomes of it."""
    await client.handle("nobody").signal("name", wait=False, request_id="s")
    with pytest.raises(Refused, match="no run"):
        await client.handle("nobody").signal("name", request_id="s")
    assert orchestrator.runs == {}


async def test_a_signal_is_checked(client: Client, orchestrator: Answering) -> None:
    """A name that the workflow does not know and a payload that breaks its schema are told to the sender."""
    orchestrator.held.add("first")
    run = await client.start("asks", run_id="a")
    with pytest.raises(Conflict, match="waits for no signal 'nome'; the signals it knows: name"):
        await run.signal("nome", "Ada")
    with pytest.raises(Conflict, match="does not fit"):
        await run.signal("name", 7)
    with pytest.raises(PayloadRefused, match="the payload of name cannot be written as JSON"):
        await run.signal("name", object())
    assert (await run.state()).signals == ()


async def test_a_signal_with_start_starts_once(client: Client, orchestrator: Answering) -> None:
    """The first one starts the run, the same again changes nothing, another one reaches the run that is there."""
    orchestrator.held.add("first")
    for request_id in ("s1", "s1", "s2"):
        handle = await client.signal_with_start("asks@1", "name", "Ada", run_id="a", request_id=request_id)
        assert handle.run_id == "a"
    run = orchestrator.runs["a"]
    assert (run.start_request_id, len(run.signals), run.requests) == ("s1", 2, ("s2",))


async def test_a_signal_with_start_gives_the_runs_result(client: Client) -> None:
    """The handle waits for the end of the run it has reached, whoever started that."""
    run = await client.signal_with_start("asks", "name", "Ada", run_id="a")
    await run.terminate("enough")
    with pytest.raises(RunFailed, match="enough") as caught:
        await run.result(LIMIT)
    assert caught.value.status == "TERMINATED"


async def test_a_signal_that_cannot_start_is_refused(client: Client, orchestrator: Answering) -> None:
    """An unknown workflow, an id that cannot be and a signal of the wrong shape start nothing."""
    with pytest.raises(Refused, match="nothing"):
        await client.signal_with_start("nothing", "name", run_id="a")
    with pytest.raises(Refused, match="does not fit"):
        await client.signal_with_start("asks", "name", 7, run_id="a")
    with pytest.raises(IdentifierRefused):
        await client.signal_with_start("asks", "name", run_id="")
    assert orchestrator.runs == {}


async def test_a_run_is_paused_and_resumed(client: Client, orchestrator: Answering) -> None:
    """Between the two nothing follows; each a second time is a conflict."""
    orchestrator.held.add("first")
    run = await client.start("two", ADA, run_id="a")
    await run.pause()
    with pytest.raises(Conflict, match="paused already"):
        await run.pause()
    await orchestrator.release("a")
    state = await run.state()
    assert (state.status, [held.path for held in state.held]) == (RunStatus.PAUSED, ["second"])
    await run.resume()
    assert await run.result(LIMIT) == ADA
    with pytest.raises(Conflict):
        await run.resume()


async def test_a_stuck_step_is_retried(stuck: RunHandle) -> None:
    """It is tried again at once, and the run goes on."""
    await stuck.retry_step("first", "repaired")
    await stuck.signal("name", "Ada")
    assert (await stuck.state()).incident is None
    with pytest.raises(Conflict, match="no step 'first' is under way"):
        await stuck.retry_step("first")


@pytest.mark.parametrize(
    ("kind", "told"),
    [(RequestKind.SKIP_STEP, EntryKind.STEP_SKIPPED), (RequestKind.COMPLETE_STEP, EntryKind.STEP_COMPLETED)],
)
async def test_a_stuck_step_is_given_its_output(stuck: RunHandle, kind: RequestKind, told: EntryKind) -> None:
    """Skipped or done by hand, the run goes on with the output, and the history says which of the two it was."""
    ask = stuck.skip_step if kind is RequestKind.SKIP_STEP else stuck.complete_step
    with pytest.raises(Conflict, match="no step 'second' is under way; those that are: first"):
        await ask("second", {"by": "hand"})
    await ask("first", {"by": "hand"}, "the bank was called")
    (entry,) = [entry for event in await stuck.history() for entry in event.entries if entry.kind is told]
    assert (entry.step, entry.data, entry.reason) == ("first", b'{"by":"hand"}', "the bank was called")
    assert [scope.path for scope in (await stuck.state()).scopes] == ["", "ask"]


async def test_a_stuck_run_is_resumed(stuck: RunHandle) -> None:
    """Resume tries everything again that is stuck."""
    assert (await stuck.state()).steps[0].status is StepStatus.FAILED
    await stuck.resume()
    assert (await stuck.state()).incident is None


async def test_a_timer_is_moved(client: Client) -> None:
    """What sleeps does so until the new time; where nothing waits, and without a zone, it is refused."""
    run = await client.signal_with_start("asks", "name", "Ada", run_id="a")
    until = datetime(2040, 1, 1, tzinfo=UTC)
    await run.change_timer("night", until)
    assert [timer.due_at for timer in (await run.state()).timers] == [until.timestamp() * 1000]
    with pytest.raises(Conflict, match="nothing at 'ask' waits for a time"):
        await run.change_timer("ask", until)
    with pytest.raises(PayloadRefused, match="time zone"):
        await run.change_timer("night", until.replace(tzinfo=None))


async def test_a_run_id_that_is_taken(client: Client) -> None:
    """A caller says whether it is refused, means the run that is there, or goes to a new run after an ended one."""
    first = await client.start("hello", ADA, run_id="taken")
    greeting = await first.result(LIMIT)
    with pytest.raises(Conflict, match="the run id is taken"):
        await client.start("hello", ADA, run_id="taken")
    same = await client.start("hello", ADA, run_id="taken", if_exists="return")
    assert await same.result(LIMIT) == greeting
    before = (await first.state()).incarnation
    anew = await client.start("hello", {"name": "Grace"}, run_id="taken", if_exists="replace")
    assert await anew.result(LIMIT) != greeting
    assert (await anew.state()).incarnation != before


async def test_a_run_that_begins_when_nobody_starts_it_again(client: Client) -> None:
    """A later start gives it its input, its time and its priority; only a run with a chosen id can be meant."""
    first = await client.start("hello", ADA, run_id="draft", debounce="1h")
    before = await first.state()
    again = await client.start("hello", {"name": "Grace"}, run_id="draft", debounce="2h", priority=3)
    after = await again.state()
    assert after.timers[0].due_at - before.timers[0].due_at >= 3_600_000
    assert (after.input, after.priority, after.incarnation) == (b'{"name":"Grace"}', 3, before.incarnation)
    await first.cancel()
    for fields in ({"run_id": None}, {"begin_at": datetime(2999, 1, 1, tzinfo=UTC)}, {"if_exists": "replace"}):
        with pytest.raises(Refused, match="debounce needs a run_id"):
            await client.start("hello", ADA, **({"run_id": "draft", "debounce": "1h"} | fields))


async def test_a_run_that_begins_later(client: Client) -> None:
    """It is there and waits for its time."""
    run = await client.start("hello", ADA, begin_at=datetime(2999, 1, 1, tzinfo=UTC))
    assert [timer.due_at for timer in (await run.state()).timers] == [32_472_144_000_000]
    await run.cancel()
    with pytest.raises(PayloadRefused, match="says no time zone"):
        await client.start("hello", ADA, begin_at=datetime(2999, 1, 1))  # noqa: DTZ001 - that is what is refused


async def test_a_run_goes_over_to_another_version(client: Client, orchestrator: Answering) -> None:
    """The run is pinned to the other version when the verb returns; a map that does not fit leaves it where it is."""
    orchestrator.held = {"second"}
    run = await client.start("two", ADA, run_id="a")
    with pytest.raises(Conflict, match="the map names nothing"):
        await run.migrate("2", {"nothing": "first"})
    with pytest.raises(Conflict, match="version 9 of two is not deployed"):
        await run.migrate("9")
    with pytest.raises(IdentifierRefused, match="workflow version"):
        await run.migrate("no version")
    for _ in range(2):
        await run.migrate("2", {"first": "begun"}, "it was wrong", requested_by="Ada", request_id="m")
    assert (await run.state()).definition_version == "2"
    told = [entry for event in await run.history() for entry in event.entries if entry.kind is EntryKind.RUN_MIGRATED]
    assert [(each.data, each.reason) for each in told] == [
        (b'{"from":"1","map":{"first":"begun"},"to":"2"}', "Ada: it was wrong")
    ]
    await orchestrator.release("a")
    assert await run.result(LIMIT) == ["Ada was here"]
