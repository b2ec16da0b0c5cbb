"""Words to workers about commands that nobody waits for any more."""

import pytest

from actionbus.contracts.commands import ControlKind, WorkerControl
from actionbus.contracts.requests import RequestKind
from actionbus.contracts.results import ActionResult, ResultKind
from actionbus.contracts.run import RunStatus
from actionbus.testing.network import Fate
from engine.graphs import go_on_with, graph, on, parallel, step
from protocol.world import World


def _words(world: World) -> list[WorkerControl]:
    return [world.codec.decode(WorkerControl, each.value) for each in world.committed(world.topics.control)]


async def _running(world: World):
    """A run whose first command is out and taken."""
    owner = world.owner("first").start()
    world.start("r1")
    await world.settle()
    (command,) = world.worker.take()
    return owner, command


async def test_a_cancelled_run_calls_its_commands_back() -> None:
    """Once, by their id, so that a worker can stop what it does."""
    world = World()
    _, command = await _running(world)
    world.cancel("r1")
    await world.finish()
    (word,) = _words(world)
    assert (word.command_id, word.action, word.kind) == (command.command_id, "one", ControlKind.CANCEL)
    assert world.committed(world.topics.control)[0].key == command.command_id.encode()
    world.judge()


async def test_an_attempt_that_took_too_long_is_called_back() -> None:
    """The next attempt has another id and is left alone."""
    world = World(attempts=2)
    _, command = await _running(world)
    world.worker.answer(world.worker.execute(command).replace(kind=ResultKind.STARTED))
    await world.move(2_000)
    await world.move(70_000)
    assert [word.command_id for word in _words(world)] == [command.command_id]
    await world.finish()
    world.judge()


async def test_nothing_is_said_about_runs_that_go_well_or_never_began() -> None:
    """A step that succeeded, and a command that never went out, need no word."""
    world = World()
    world.start("never-began")
    world.cancel("never-began")
    world.owner("first").start()
    world.start("goes-well")
    await world.finish()
    assert _words(world) == []


async def test_a_word_that_is_lost_costs_nothing() -> None:
    """It is a hint."""
    world = World()
    owner, _ = await _running(world)
    owner.trap("publish", "control", Fate.LOST)
    world.cancel("r1")
    await world.finish()
    assert _words(world) == []
    world.judge()


async def test_a_branch_that_is_not_needed_any_more_calls_its_command_back() -> None:
    """One of two was enough: the word goes to the other's worker, and none to the one that answered."""
    world = World(graph=graph(parallel("both", step("quick"), step("slow"), enough=1)))
    world.owner("first").start()
    world.start("r1")
    await world.settle()
    quick, slow = world.worker.take()
    world.worker.answer(world.worker.execute(quick))
    await world.settle()
    assert [(word.command_id, word.reason) for word in _words(world)] == [
        (slow.command_id, "enough others have succeeded")
    ]


@pytest.mark.parametrize("kind", [RequestKind.SKIP_STEP, RequestKind.COMPLETE_STEP])
async def test_a_step_that_somebody_does_by_hand_is_called_back(kind: RequestKind) -> None:
    """Its output is there already, so its worker can stop."""
    world = World()
    _, command = await _running(world)
    world.request("r1", kind, "by-hand", step="one", payload=b"{}")
    await world.settle()
    assert [word.command_id for word in _words(world)] == [command.command_id]


async def test_a_terminated_run_calls_everything_back() -> None:
    """Nothing is undone any more: also the undo that is out."""
    world = World()
    await _running(world)
    world.cancel("r1")
    await world.settle()
    (undo,) = world.worker.take()
    world.request("r1", RequestKind.TERMINATE, "terminate")
    await world.settle()
    assert [word.command_id for word in _words(world)] == ["r1:0/one/1", undo.command_id]
    assert world.runs()["r1"].status is RunStatus.TERMINATED


async def test_a_step_that_failed_and_is_gone_on_without_is_not_called_back() -> None:
    """Its worker has answered, and nothing of it runs."""
    world = World(graph=graph(step("one", on(None, go_on_with(1)))))
    world.worker.failing["one"] = 1
    world.owner("first").start()
    world.start("r1")
    await world.finish()
    assert world.runs()["r1"].status is RunStatus.COMPLETED
    assert _words(world) == []


@pytest.mark.parametrize("kind", [ResultKind.STARTED, ResultKind.HEARTBEAT])
async def test_who_works_on_what_was_given_up_is_told_so(kind: ResultKind) -> None:
    """A command may come again, or the first word be missed: whoever says that they work on it is told once more."""
    world = World()
    _, command = await _running(world)
    world.cancel("r1")
    await world.settle()
    said = {name: getattr(command, name) for name in ("command_id", "step_key", "run_id", "nonce")}
    world.worker.answer(ActionResult(**said, kind=kind))
    await world.settle()
    await world.move(2_000)
    assert [word.command_id for word in _words(world)] == [command.command_id] * 2
