"""What senders of signals and operators ask of runs, as a shard carries it out and as its next owner goes on with it."""

import pytest

from actionbus.contracts.events import EntryKind
from actionbus.contracts.requests import IfExists, RequestKind
from actionbus.contracts.run import RunStatus, StepStatus, TimerKind
from engine.graphs import PAUSE, emit, graph, on, sleep, step, wait
from protocol.world import World

GREET = graph(wait("ask", "name"), step("greet"))


def _verdicts(world: World, run_id: str = "r1") -> list[tuple[EntryKind, str]]:
    """What was answered, and to which request."""
    kinds = (EntryKind.REQUEST_ACCEPTED, EntryKind.REQUEST_REJECTED)
    entries = [entry for event in world.events(run_id) for entry in event.entries]
    return [(entry.kind, entry.request_id or "") for entry in entries if entry.kind in kinds]


def _why(world: World, run_id: str = "r1") -> str:
    """The reason of the last verdict."""
    return world.events(run_id)[-1].entries[-1].reason or ""


def _signal(world: World, request_id: str, *, name: str = "name", workflow: str | None = "order") -> None:
    world.request(
        "r1", RequestKind.SIGNAL, request_id, workflow=workflow, signal=name, payload=b'"Ada"', start_input=b"{}"
    )


def _sound(world: World) -> None:
    world.one_history()
    world.nothing_torn()
    world.no_phantoms()


async def _waits(world: World, kind: TimerKind) -> None:
    """One timer of this kind is all that the run waits for."""
    await world.settle()
    assert [timer.kind for timer in world.runs()["r1"].timers] == [kind]


async def test_a_signal_with_start_begins_a_run_that_has_it() -> None:
    """There is none of that id: it is started, with an incarnation as any, and finds the signal when it waits for it."""
    world = World(graph=GREET)
    world.start("other")
    world.owner("first").start()
    _signal(world, "s1")
    await world.finish()
    run = world.runs()["r1"]
    assert (run.status, run.incarnation, run.start_request_id) == (RunStatus.COMPLETED, "1", "s1")
    _sound(world)


async def test_a_signal_with_start_reaches_the_run_that_is_there() -> None:
    """The run is there and waits: it gets the signal and is not started again; asked twice, it has one effect."""
    world = World(graph=GREET)
    world.owner("first").start()
    world.start("r1")
    for _ in range(2):
        _signal(world, "s1")
    await world.settle()
    run = world.runs()["r1"]
    assert (run.incarnation, run.signals, [each.path for each in run.steps]) == ("0", (), ["greet"])
    assert _verdicts(world) == [(EntryKind.REQUEST_ACCEPTED, each) for each in ("start", "s1", "s1")]
    _sound(world)


@pytest.mark.parametrize(
    ("workflow", "name", "why"),
    [
        ("nothing", "name", "the workflow 'nothing' is not deployed"),
        ("", "name", "the workflow '' is not deployed"),
        (None, "name", "there is no run r1"),
        ("order", "nome", "waits for no signal 'nome'"),
    ],
)
async def test_a_signal_that_cannot_start_a_run_is_rejected(workflow: str | None, name: str, why: str) -> None:
    """Without a workflow, with one that is not deployed, or with a signal it does not know, there is a verdict, no run."""
    world = World(graph=GREET)
    world.owner("first").start()
    _signal(world, "s1", workflow=workflow, name=name)
    await world.settle()
    assert _verdicts(world) == [(EntryKind.REQUEST_REJECTED, "s1")]
    assert why in _why(world)
    assert world.runs() == {}


async def test_signals_and_times_survive_their_owner() -> None:
    """A signal that came early, the timeout of a wait and a sleep are the next owner's as they were."""
    world = World(graph=graph(sleep("night", 60_000), wait("ask", "name"), wait("more", "age", timeout_ms=60_000)))
    first = world.owner("first").start()
    world.start("r1")
    _signal(world, "s1")
    await _waits(world, TimerKind.WAKE)
    await first.crash()
    second = world.owner("second").start()
    await world.move(60_001)
    run = world.runs()["r1"]
    assert ([scope.path for scope in run.scopes if scope.path], run.signals) == (["more"], ())
    await second.crash()
    world.owner("third").start()
    await world.move(60_001)
    assert world.runs()["r1"].error is not None
    assert world.runs()["r1"].status is RunStatus.FAILED
    _sound(world)


async def test_a_pause_survives_its_owner() -> None:
    """What was out when the run was paused is taken in by the next owner, and nothing follows until it is resumed."""
    world = World()
    first = world.owner("first").start()
    world.start("r1")
    await world.settle()
    world.request("r1", RequestKind.PAUSE, "p1")
    await world.settle()
    await first.crash()
    world.owner("second").start()
    world.worker.work()
    await world.settle()
    run = world.runs()["r1"]
    assert (run.status, [held.path for held in run.held]) == (RunStatus.PAUSED, ["two"])
    assert not world.worker.take()
    world.request("r1", RequestKind.RESUME, "q1")
    await world.finish()
    world.judge()


async def test_a_command_that_is_out_while_its_run_is_paused_is_looked_after() -> None:
    """It was passed over without an answer: it goes out again although nothing new would be scheduled."""
    world = World()
    world.owner("first").start()
    world.start("r1")
    await world.settle()
    assert len(world.worker.take()) == 1
    world.request("r1", RequestKind.PAUSE, "p1")
    await world.settle()
    world.broker.groups[world.topics.worker_group("one"), world.topics.commands("one")] = 1
    await world.move(120_000)
    assert [each.command_id for each in world.worker.take()] == ["r1:0/one/1"]


async def test_a_timer_is_moved_in_both_directions() -> None:
    """A later time is waited for, an earlier or past one is acted on; one beyond any calendar is rejected."""
    world = World(graph=graph(sleep("night", 60_000)))
    world.owner("first").start()
    world.start("r1")
    await _waits(world, TimerKind.WAKE)
    due_at = world.runs()["r1"].timers[0].due_at
    world.request("r1", RequestKind.CHANGE_TIMER, "t1", step="night", due_at=due_at + 60_000)
    await world.settle()
    await world.move(60_001)
    assert world.runs()["r1"].status is RunStatus.RUNNING
    world.request("r1", RequestKind.CHANGE_TIMER, "t2", step="night", due_at=2**62)
    await world.settle()
    assert "due_at is no time in epoch milliseconds" in _why(world)
    world.request("r1", RequestKind.CHANGE_TIMER, "t3", step="night", due_at=0)
    await world.settle()
    assert world.runs()["r1"].status is RunStatus.COMPLETED
    _sound(world)


async def test_a_stuck_step_is_repaired_by_its_next_owner() -> None:
    """A step that waits for an operator waits through a takeover, and a retry goes out under a new attempt."""
    world = World(graph=graph(step("one", on(None, PAUSE))))
    world.worker.failing["one"] = 1
    first = world.owner("first").start()
    world.start("r1")
    await world.settle()
    world.worker.work()
    await world.settle()
    assert world.runs()["r1"].steps[0].stuck is not None
    await first.crash()
    world.owner("second").start()
    await world.settle()
    assert not world.worker.take()
    world.request("r1", RequestKind.RETRY_STEP, "t1", step="one")
    await world.settle()
    assert (world.runs()["r1"].steps[0].status, world.runs()["r1"].incident) == (StepStatus.SCHEDULED, None)
    assert [each.command_id for each in world.worker.take()] == ["r1:0/one/2"]


async def test_a_signal_that_leads_to_a_record_nobody_can_write_is_rejected() -> None:
    """The emit after the wait names a topic that is not there: the sender is told, and the run waits on."""
    world = World(graph=graph(wait("ask", "name"), emit("tell", "nowhere")))
    world.owner("first").start()
    world.start("r1")
    _signal(world, "s1", workflow=None)
    for _ in range(3):
        await world.move(2_000)
    assert "there is no topic nowhere" in _why(world)
    assert [scope.path for scope in world.runs()["r1"].scopes] == ["", "ask"]
    _sound(world)


async def _ends(world: World) -> None:
    """The worker does what the run has out, and the run ends."""
    await world.settle()
    assert world.worker.work()
    await world.settle()


async def test_an_ended_run_makes_room_for_another() -> None:
    """A start that replaces begins a new run, once, also when it comes again after a takeover."""
    world = World(graph=graph(step("a")))
    first = world.owner("first").start()
    world.start("r1")
    await _ends(world)
    world.start("r1", "again", if_exists=IfExists.REPLACE)
    await _ends(world)
    await first.crash()
    world.owner("second").start()
    world.start("r1", "again", if_exists=IfExists.REPLACE)
    world.start("r1", "start", if_exists=IfExists.REPLACE)
    world.start("r1", "third", if_exists=IfExists.RETURN)
    await world.finish()
    assert world.runs()["r1"].incarnation == "1"
    assert [kind for kind, _ in _verdicts(world)] == [EntryKind.REQUEST_ACCEPTED] * 5
    assert _why(world) == "there is a run of that id: it is COMPLETED"
    _sound(world)


async def test_a_replacement_by_a_workflow_that_is_not_there_is_refused() -> None:
    """What is asked for is looked up, not what the ended run was; that one stays."""
    world = World(graph=graph(step("a")))
    world.owner("first").start()
    world.start("r1")
    await _ends(world)
    world.start("r1", "again", workflow="gone", if_exists=IfExists.REPLACE)
    await world.settle()
    assert _why(world) == "the workflow 'gone' is not deployed"
    assert world.runs()["r1"].status is RunStatus.COMPLETED


async def test_a_run_goes_over_to_a_version_deployed_after_its_request_was_written() -> None:
    """The shard has not read the new definition when the request arrives: it looks again, and its next owner goes on."""
    world = World(graph=graph(step("a", undo="u"), step("b")))
    first = world.owner("first").start()
    world.start("r1")
    await world.settle()
    world.deploy(graph(step("a", undo="u"), step("c", action="a"), version="2"))
    world.request("r1", RequestKind.MIGRATE, "m1", version="2", reason="b was wrong")
    await world.settle()
    assert world.runs()["r1"].definition_version == "2"
    assert _verdicts(world)[-1] == (EntryKind.REQUEST_ACCEPTED, "m1")
    await first.crash()
    world.owner("second").start()
    await world.finish()
    run = world.runs()["r1"]
    assert (run.status, run.definition_version) == (RunStatus.COMPLETED, "2")
    scheduled = [
        entry.step for event in world.events("r1") for entry in event.entries if entry.kind == "step_scheduled"
    ]
    assert scheduled == ["a", "c"]
    _sound(world)


async def test_a_run_stays_where_the_version_is_not_deployed() -> None:
    """A version that nobody deployed is refused with its name, and so is a run that is not there."""
    world = World(graph=GREET)
    world.owner("first").start()
    world.start("r1")
    world.request("r1", RequestKind.MIGRATE, "m1", version="2")
    world.request("r2", RequestKind.MIGRATE, "m2", version="2")
    await world.settle()
    assert "version 2 of order is not deployed" in _why(world)
    assert "there is no run r2" in _why(world, "r2")
    assert world.runs()["r1"].definition_version == "1"
    _sound(world)
