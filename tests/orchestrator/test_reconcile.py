"""Commands that were passed over without an answer go out again; a backlog is left alone."""

from actionbus.contracts.commands import ActionCommand
from actionbus.contracts.definitions import Effect
from actionbus.contracts.results import ActionResult, ResultKind
from actionbus.contracts.run import RunStatus
from actionbus.orchestrator.reconcile import next_look
from actionbus.testing.network import Fate
from protocol.world import World, pair

AFTER_MS = 60_000


async def _waiting(world: World) -> str:
    """A run whose first command was published and taken, and is not answered; its topic."""
    await _taken(world)
    return world.topics.commands("one")


async def _taken(world: World) -> ActionCommand:
    """The command of a run that has begun; it was published and taken, and is not answered."""
    world.owner("first").start()
    world.start("r1")
    await world.settle()
    (command,) = world.worker.take()
    return command


def _pass(world: World, topic: str, offset: int) -> None:
    world.broker.groups[world.topics.worker_group("one"), topic] = offset


def test_looks_become_rarer() -> None:
    """The age of a command doubles between two looks, so that a million waiting runs cost little."""
    looks, now = [], 0
    for _ in range(5):
        now = next_look(0, now, 10)
        looks.append(now)
    assert looks == [10, 20, 40, 80, 160]


async def test_a_command_its_readers_have_passed_goes_out_again() -> None:
    """The same id, once for each look, until it is answered."""
    world = World()
    topic = await _waiting(world)
    _pass(world, topic, 1)
    await world.move(AFTER_MS - 1_000)
    assert not world.worker.take()
    await world.move(2_000)
    (again,) = world.worker.take()
    assert again.command_id == "r1:0/one/1"
    _pass(world, topic, 2)
    await world.move(AFTER_MS // 2)
    assert not world.worker.take()
    await world.move(AFTER_MS)
    assert len(world.worker.take()) == 1
    world.worker.answer(world.worker.execute(again))
    await world.finish()
    world.judge()


async def test_a_backlog_stays_as_it_is() -> None:
    """A worker that is down for hours finds every command once."""
    world = World()
    await _waiting(world)
    for _ in range(6):
        await world.move(10 * AFTER_MS)
    assert not world.worker.take()


async def test_a_takeover_does_not_forget_to_look() -> None:
    """The next owner looks after what the one before had sent."""
    world = World()
    topic = await _waiting(world)
    await world.owners[0].leave()
    world.owner("second").start()
    await world.settle()
    _pass(world, topic, 1)
    await world.move(2 * AFTER_MS)
    assert [each.command_id for each in world.worker.take()] == ["r1:0/one/1"]


async def test_a_command_of_a_transaction_under_way_is_not_looked_after() -> None:
    """A process that stood still in the middle of a transaction sends nothing that the transaction has not scheduled yet."""
    world = World()
    command = await _taken(world)
    owner = world.owners[0]
    held = owner.trap("add", "a", Fate.HELD)
    world.worker.answer(world.worker.execute(command))
    await held.caught.wait()
    await world.move(3 * AFTER_MS)
    await owner.crash()
    assert not world.worker.take()
    world.no_phantoms()


async def test_a_compensation_is_looked_after_too() -> None:
    """Nothing that has to be undone is left out."""
    world = World()
    await _waiting(world)
    world.cancel("r1")
    await world.settle()
    assert len(world.worker.take()) == 1
    world.broker.groups[world.topics.worker_group("undo-one"), world.topics.commands("undo-one")] = 1
    await world.move(2 * AFTER_MS)
    (again,) = world.worker.take()
    world.worker.answer(world.worker.execute(again))
    await world.finish()
    assert world.runs()["r1"].status is RunStatus.CANCELLED


async def test_what_may_happen_once_at_most_is_never_sent_again() -> None:
    """Without knowing what happened, doing nothing is the promise."""
    graph = pair()
    actions = {
        name: spec.model_copy(update={"effect": Effect.AT_MOST_ONCE, "store": None})
        for name, spec in graph.actions.items()
    }
    world = World(graph=graph.model_copy(update={"actions": actions}))
    _pass(world, await _waiting(world), 1)
    await world.move(2 * AFTER_MS)
    assert not world.worker.take()


async def test_a_heartbeat_puts_the_look_off() -> None:
    """Who says that it works has the command; only its silence is counted."""
    graph = pair()
    patient = {name: spec.model_copy(update={"start_to_close_ms": 3_600_000}) for name, spec in graph.actions.items()}
    world = World(graph=graph.model_copy(update={"actions": patient}))
    world.owner("first").start()
    world.start("r1")
    await world.settle()
    (command,) = world.worker.take()
    _pass(world, world.topics.commands("one"), 1)
    for _ in range(4):
        await world.move(AFTER_MS - 5_000)
        beat = {name: getattr(command, name) for name in ("command_id", "step_key", "run_id", "nonce")}
        world.worker.answer(ActionResult(**beat, kind=ResultKind.HEARTBEAT))
        await world.settle()
        assert not world.worker.take()
    await world.move(2 * AFTER_MS)
    assert len(world.worker.take()) == 1
