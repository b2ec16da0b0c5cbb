"""Attempts that take long, over takeovers: nobody is given up for the silence of an orchestrator, and nothing is lost."""

import pytest

from actionbus.contracts.decisions import RetryPolicy
from actionbus.contracts.definitions import Graph
from actionbus.contracts.events import EntryKind
from actionbus.contracts.results import ActionError, ActionResult, Emit, ResultKind
from actionbus.contracts.run import RunStatus
from actionbus.orchestrator.hearing import LISTEN_MS
from protocol.world import Violated, World, pair
from support.mutation import all_mutated

HEARTBEAT_MS = 10_000
TENURE = "actionbus.orchestrator.tenure"


def talking(**fields) -> Graph:
    """Two steps whose attempts have to be heard of."""
    graph = pair(attempts=3)
    retry = RetryPolicy(attempts=3, initial_ms=1_000, jitter=0)
    more = {"heartbeat_ms": HEARTBEAT_MS, "start_to_close_ms": 3_600_000, "retry": retry, **fields}
    actions = {name: spec.model_copy(update=more) for name, spec in graph.actions.items()}
    return graph.model_copy(update={"actions": actions})


def says(world: World, command, kind: ResultKind, **fields) -> None:
    """A worker, or whoever holds the token, says something about a command."""
    world.worker.answer(
        ActionResult(
            command_id=command.command_id,
            step_key=command.step_key,
            run_id=command.run_id,
            nonce=command.nonce,
            kind=kind,
            **fields,
        )
    )


def told(world: World, run_id: str, kind: EntryKind) -> list:
    """The entries of a kind in the history of a run."""
    return [entry for event in world.events(run_id) for entry in event.entries if entry.kind is kind]


async def begun(world: World):
    """A run whose first command was taken by a worker that says so."""
    world.owner("first").start()
    world.start("r1")
    await world.settle()
    (command,) = world.worker.take()
    says(world, command, ResultKind.HEARTBEAT, details=b'{"page":3}')
    await world.settle()
    await world.move(2_000)
    return command


async def another(world: World) -> None:
    """The owner dies and another takes over."""
    await world.owners[-1].crash()
    world.owner("second").start()
    await world.settle()


async def test_an_attempt_that_falls_silent_is_given_up_after_a_takeover() -> None:
    """The timer and what was said last survive the owner: the next attempt goes on there, under the next one."""
    world = World(graph=talking())
    await begun(world)
    await another(world)
    await world.move(HEARTBEAT_MS)
    await world.move(LISTEN_MS)
    (entry,) = told(world, "r1", EntryKind.STEP_TIMED_OUT)
    assert b"HeartbeatTimeout" in entry.data
    await world.move(2_000)
    again = world.worker.take()[-1]  # before it the first one, which the next owner could not know to be out
    assert (again.attempt, again.heartbeat_details) == (2, b'{"page":3}')


async def long_absence() -> None:
    """Nobody owns the shard for longer than an attempt may be silent, and the attempt goes on saying that it works."""
    world = World(graph=talking())
    command = await begun(world)
    await world.owners[0].crash()
    for page in range(4, 8):
        says(world, command, ResultKind.HEARTBEAT, details=b'{"page":%d}' % page)
        await world.move(HEARTBEAT_MS // 2)
    world.owner("second").start()
    await world.settle()
    for _ in range(3):
        await world.move(LISTEN_MS)
    if told(world, "r1", EntryKind.STEP_TIMED_OUT):
        raise Violated("an attempt was given up that went on saying that it works")
    assert world.runs()["r1"].steps[0].heartbeat == b'{"page":7}'


async def test_nobody_is_given_up_for_the_silence_of_an_orchestrator() -> None:
    """What workers said while nobody owned the shard is heard before anybody is given up; without that, one is."""
    await long_absence()
    rule = (TENURE, "heard=self._hearing.complete", "heard=True")
    with all_mutated(rule), pytest.raises(Violated):
        await long_absence()


async def test_heartbeats_cost_few_transactions_and_no_event() -> None:
    """A thousand of them in a minute are written with the position, once a second at most."""
    world = World(graph=talking())
    command = await begun(world)
    events, before = len(world.events("r1")), len(world.positions())
    for number in range(1_000):
        says(world, command, ResultKind.HEARTBEAT, details=b"%d" % number)
        await world.move(60)
    assert len(world.positions()) - before <= 60
    assert len(world.events("r1")) == events
    await world.move(2_000)
    assert world.runs()["r1"].steps[0].heartbeat == b"999"


async def test_a_deferred_step_survives_a_takeover() -> None:
    """It waits on under the next owner, its command is not sent again, and its answer by token ends it."""
    world = World(graph=talking(heartbeat_ms=None))
    command = await begun(world)
    says(world, command, ResultKind.DEFERRED)
    await world.settle()
    await another(world)
    world.broker.groups[world.topics.worker_group("one"), world.topics.commands("one")] = 1
    for _ in range(6):
        await world.move(120_000)
    assert not world.worker.take()
    says(world, command, ResultKind.SUCCEEDED, output=b"{}", by_token=True)
    await world.settle()
    (second,) = world.worker.take()
    assert second.step == "two"


async def test_records_of_a_deferred_step_go_out_once() -> None:
    """They are in the transaction that takes the word in, like those of a success."""
    world = World(graph=talking(emits=("letters",), heartbeat_ms=None))
    world.broker.make("letters")
    command = await begun(world)
    for _ in range(3):
        says(world, command, ResultKind.DEFERRED, emits=(Emit(topic="letters", value=b"token"),))
        await world.settle()
    await another(world)
    assert [each.value for each in world.broker.read(("letters", 0), 0)] == [b"token"]
    assert len(told(world, "r1", EntryKind.STEP_DEFERRED)) == 1


async def test_a_forged_answer_changes_nothing() -> None:
    """Whoever guesses a token is ignored."""
    world = World(graph=talking(heartbeat_ms=None))
    command = await begun(world)
    says(world, command.replace(nonce="0" * 32), ResultKind.SUCCEEDED, output=b"{}", by_token=True)
    says(world, command.replace(nonce="0" * 32), ResultKind.FAILED, error=ActionError(type="No"), by_token=True)
    await world.settle()
    assert world.runs()["r1"].status is RunStatus.RUNNING
    assert world.runs()["r1"].steps[0].attempt == 1
