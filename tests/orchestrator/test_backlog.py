"""What waits for workers and what stands still is known from the runs, with a worker and without, before and after."""

import pytest

from actionbus.contracts.requests import RequestKind
from actionbus.contracts.results import ActionResult, ResultKind
from actionbus.contracts.run import RunStatus
from actionbus.engine.forsaken import forsaken
from actionbus.kafka.codec import Codec
from actionbus.orchestrator.backlog import Backlog
from actionbus.orchestrator.store import OUTLINE
from engine.graphs import child, graph, parallel, person, sleep, step, wait, workflow
from engine.play import started
from protocol.world import Owner, World

STUCK_MS = 600_000
WAITS = [wait("w", "go"), person("p"), child("c"), sleep("s", 1_000), step("a")]


def _look(owner: Owner) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
    """Commands by action, their ages in seconds, and stuck runs by workflow; zeros left out."""
    progress = owner.shard.progress
    assert progress is not None
    found = progress.backlog.look(progress.now, STUCK_MS)
    ages = {action: age // 1_000 for action, age in found.ages_ms.items()}
    return tuple({name: count for name, count in each.items() if count} for each in (found.commands, ages, found.stuck))


def _begins(world: World, command) -> None:
    """A worker says that it has begun."""
    word = ActionResult(
        command_id=command.command_id,
        step_key=command.step_key,
        run_id=command.run_id,
        kind=ResultKind.STARTED,
        nonce=command.nonce,
    )
    world.worker.answer(word)


async def test_the_backlog_is_known_without_any_worker() -> None:
    """Commands that nobody takes are counted and grow old; a takeover finds the same; answers end it."""
    world = World()
    first = world.owner("first").start()
    world.start("r1")
    world.start("r2")
    await world.settle()
    await world.move(90_000)
    before = _look(first)
    assert before[0] == {"one": 2}
    assert 88 <= before[1]["one"] <= 91
    await first.leave()
    second = world.owner("second").start()
    await world.settle()
    assert _look(second) == before
    world.worker.work()
    await world.settle()
    assert _look(second)[0] == {"two": 2}
    await world.finish(second)
    assert first.shard.progress is None


async def test_what_a_worker_has_begun_is_no_backlog() -> None:
    """A long attempt makes no backlog, and none after a takeover either; it is neither late nor stuck."""
    world = World()
    first = world.owner("first").start()
    world.start("r1")
    await world.settle()
    (command,) = world.worker.take()
    _begins(world, command)
    await world.settle()
    await world.move(2_000)  # a sign of life is no reason for a transaction of its own
    assert _look(first) == ({}, {}, {})
    await first.leave()
    second = world.owner("second").start()
    await world.settle()
    assert _look(second) == ({}, {}, {})
    await second.leave()


async def test_a_command_that_is_passed_over_makes_a_stuck_run() -> None:
    """Its run is stuck once others of its action are answered and it is not; while nobody answers it is backlog."""
    world = World()
    owner = world.owner("first").start()
    world.start("r1")
    await world.settle()
    (lost,) = world.worker.take()
    await world.move(STUCK_MS + 5_000)
    assert _look(owner)[2] == {}  # no worker has shown that it lives
    world.start("r2")
    await world.settle()
    world.worker.work()
    await world.settle()
    assert _look(owner)[2] == {"pair": 1}
    world.worker.answer(world.worker.execute(lost))
    await world.settle()
    assert _look(owner)[2] == {}
    await owner.leave()


async def test_who_is_cancelled_waits_no_more() -> None:
    """A run that is terminated leaves the backlog with all its commands."""
    both = graph(parallel("both", step("one"), step("two")), name="both")
    world = World(graph=both)
    owner = world.owner("first").start()
    world.start("r1")
    await world.settle()
    assert sum(_look(owner)[0].values()) == 2
    world.request("r1", RequestKind.TERMINATE, "end")
    await world.settle()
    assert _look(owner) == ({}, {}, {})
    await owner.leave()


@pytest.mark.parametrize("node", WAITS, ids=lambda node: node.kind)
def test_whoever_waits_is_not_forsaken(node) -> None:
    """A signal, a person, another run, a time and a worker are all something that moves a run."""
    play = started(workflow(node))
    assert not forsaken(play.definition, play.run)


@pytest.mark.parametrize("node", WAITS, ids=lambda node: node.kind)
def test_a_run_that_has_lost_what_it_waits_for_is_forsaken(node) -> None:
    """Without its timer, its step or its waiting node nothing is left that could move it; paused, an operator is."""
    play = started(workflow(node))
    lost = play.run.replace(timers=(), steps=(), scopes=tuple(each for each in play.run.scopes if each.path != node.id))
    assert forsaken(play.definition, lost)
    assert forsaken(None, play.run)
    assert not forsaken(play.definition, lost.replace(status=RunStatus.PAUSED))


def test_a_takeover_finds_the_forsaken() -> None:
    """A run that nothing moves counts as stuck from the first look after a takeover, one that waits does not."""
    codec, play = Codec(), started(workflow(wait("w", "go"), name="tallied"))
    lost = play.run.replace(scopes=tuple(each for each in play.run.scopes if each.path != "w"))

    class Known:
        """The one definition."""

        def find(self, name: str, version: str):
            """It."""
            del name, version
            return play.definition

    for run, stuck in ((play.run, {}), (lost, {play.run.workflow: 1})):
        value = codec.encode(run)
        backlog = Backlog(Known())
        backlog.found(
            codec.glance(type(run), value, *OUTLINE),
            lambda value=value: [each["path"] for each in codec.glance(type(play.run), value, "scopes")["scopes"]],
        )
        assert backlog.look(0, STUCK_MS).stuck == stuck
