"""Words to workers about commands that nobody waits for any more."""

from actionbus.contracts.commands import ControlKind, WorkerControl
from actionbus.contracts.results import ResultKind
from actionbus.testing.network import Fate
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
