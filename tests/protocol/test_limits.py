"""Limits under faults: whoever owns the shard, never more is out than may be, and everything that waits goes on."""

import asyncio
from collections import Counter

import pytest

from actionbus.contracts.decisions import Call
from actionbus.contracts.definitions import Graph
from actionbus.contracts.identifiers import POSITION_KEY
from actionbus.contracts.limiting import LimitPolicy
from actionbus.contracts.limits import Limits
from actionbus.contracts.requests import IfExists
from actionbus.contracts.run import RunStatus, StepStatus, WorkflowRun
from actionbus.testing.network import Fate
from protocol.test_random_schedules import SEEDS, Play
from protocol.world import Violated, World, pair
from support.mutation import all_mutated

MOST = {"one": 2, "two": 1, "undo-one": 1}
RUNS_AT_A_TIME = 3


def limited(attempts: int = 1) -> Graph:
    """The pair of steps with few at a time: fewer than runs want, and fewer runs than are started."""
    plain = pair(attempts)
    limits = {name: LimitPolicy(concurrency=most) for name, most in MOST.items()}
    actions = {name: spec.model_copy(update={"limit": limits.get(name)}) for name, spec in plain.actions.items()}
    return plain.model_copy(update={"actions": actions, "limit": LimitPolicy(concurrency=RUNS_AT_A_TIME)})


def keeps_the_limits(world: World) -> int:
    """After no transaction more was out than may be; how many there were at most of all."""
    runs: dict[str, WorkflowRun] = {}
    most = 0
    for record in world.committed(world.topics.state):
        if record.key != POSITION_KEY:
            run = world.codec.decode(WorkflowRun, record.value) if record.value is not None else None
            runs[record.key.decode()] = run
            continue
        live = [run for run in runs.values() if run is not None and not run.status.ended]
        out = Counter(step.action for run in live for step in run.steps if _is_out(step))
        begun = sum(not run.unbegun for run in live)
        most = max(most, out.total())
        if any(out[action] > limit for action, limit in MOST.items()) or begun > RUNS_AT_A_TIME:
            raise Violated(f"{dict(out)} are out of {begun} runs")
    return most


def _is_out(step) -> bool:
    return step.dispatch_seq > 0 and step.status in (StepStatus.SCHEDULED, StepStatus.COMPENSATING)


def statuses(world: World) -> set[str]:
    """How the runs ended."""
    return {run.status.value for run in world.runs().values()}


async def six_runs(world: World) -> None:
    """More than may be under way."""
    for number in range(6):
        world.start(f"r{number}", request_id=f"start-{number}")
    await world.settle()


async def test_everything_that_waits_goes_on_in_its_turn() -> None:
    """Three of six runs begin, two of three steps go out, and each that ends lets one go on."""
    world = World(graph=limited())
    world.owner("first").start()
    await six_runs(world)
    assert sorted(run.run_id for run in world.runs().values() if run.queued) == ["r3", "r4", "r5"]
    assert [command.run_id for command in world.worker.take()] == ["r0", "r1"]
    world.worker.seen.clear()
    await world.finish()
    world.judge()
    assert (statuses(world), keeps_the_limits(world)) == ({"COMPLETED"}, 2)


async def test_a_takeover_loses_no_place_and_doubles_no_turn() -> None:
    """The new owner sends again what is out, lets nothing else out, and goes on where the line was."""
    world = World(graph=limited())
    first = world.owner("first").start()
    await six_runs(world)
    before = [command.command_id for command in world.worker.take()]
    await first.crash()
    world.owner("second").start()
    await world.settle()
    assert {command.command_id for command in world.worker.take()} <= set(before)
    waiting = [(run.run_id, step.turn.queued_at) for run in world.runs().values() for step in run.steps if step.queued]
    assert [run_id for run_id, _ in waiting] == ["r2"]
    world.worker.seen.clear()
    await world.finish()
    world.judge()
    assert (statuses(world), keeps_the_limits(world)) == ({"COMPLETED"}, 2)


@pytest.mark.parametrize("fate", [Fate.LOST, Fate.UNANSWERED, Fate.LATE])
async def test_a_turn_in_doubt_is_given_once(fate: Fate) -> None:
    """An owner that does not know whether the turn it gave is committed asks the log, and so does the next one."""
    world = World(graph=limited())
    first = world.owner("first").start()
    await six_runs(world)
    (done, _) = world.worker.take()
    traps = [first.trap("end", slot, fate) for slot in ("a", "b")]
    world.worker.answer(world.worker.execute(done))
    await asyncio.wait([asyncio.ensure_future(trap.caught.wait()) for trap in traps], return_when="FIRST_COMPLETED")
    world.worker.seen.clear()
    await world.finish()
    world.judge()
    assert statuses(world) == {"COMPLETED"}
    keeps_the_limits(world)


async def test_a_turn_whose_command_was_lost_with_its_owner_is_used() -> None:
    """Between the commit that gives a turn and its command an owner dies: the next one sends it."""
    world = World(graph=limited())
    first = world.owner("first").start()
    await world.settle()
    held = first.trap("publish", "action.one", Fate.HELD)
    world.start("r1")
    await held.caught.wait()
    await first.crash()
    assert world.worker.take() == []
    world.owner("second").start()
    await world.finish()
    world.judge()
    assert statuses(world) == {"COMPLETED"}


async def test_undos_wait_for_their_turn_as_well() -> None:
    """Three runs are cancelled; one undo is out at a time."""
    world = World(graph=limited())
    world.owner("first").start()
    await six_runs(world)
    world.worker.work()
    await world.settle()
    for number in range(6):
        world.cancel(f"r{number}")
    await world.finish()
    world.judge()
    assert statuses(world) == {"CANCELLED"}
    keeps_the_limits(world)


async def _turns_that_do_not_fit() -> None:
    """Runs grow as they begin, so that the turns of one fold are too much for a transaction."""
    plain = limited()
    fat = [
        node.model_copy(update={"call": Call(action=node.id, input={"$ref": ["input"]})}) for node in plain.root.nodes
    ]
    graph = plain.model_copy(update={"root": plain.root.model_copy(update={"nodes": tuple(fat)})})
    world = World(graph=graph, limits=Limits(batch_bytes=9_000, record_bytes=8_000))
    world.owner("first").start()
    for number in range(9):
        world.start(f"r{number}", request_id=f"start-{number}", payload=b'{"data":"%s"}' % (b"x" * 1_500))
    await world.finish()
    world.judge()
    keeps_the_limits(world)


async def test_a_turn_that_did_not_fit_its_transaction_is_given_in_the_next() -> None:
    """A fold that is too large is begun anew with less of it, and its turns were not given."""
    await _turns_that_do_not_fit()
    forget = "        self._admissions.forget(fold)\n"
    with all_mutated(("actionbus.orchestrator.tenure", forget, "")), pytest.raises(Violated):
        await _turns_that_do_not_fit()


async def test_a_rate_goes_on_over_a_takeover() -> None:
    """The next may begin when the last one says so, although its run has ended and its owner is gone."""
    graph = limited().model_copy(update={"limit": LimitPolicy(rate=1, per_ms=30_000)})
    world = World(graph=graph)
    first = world.owner("first").start()
    world.start("r1")
    await world.settle()
    for _ in range(2):
        world.worker.work()
        await world.settle()
    assert world.runs()["r1"].status is RunStatus.COMPLETED
    world.start("r2", request_id="start-2")
    await world.settle()
    await first.crash()
    world.owner("second").start()
    await world.move(29_000)
    assert world.runs()["r2"].queued
    await world.move(1_000)
    assert not world.runs()["r2"].queued
    await world.finish()
    world.judge()


async def test_a_rate_counts_from_the_time_that_came_with_a_request() -> None:
    """A shard's clock that is behind jumps with what it reads; what begins then has begun at that time, not before."""
    graph = limited().model_copy(update={"limit": LimitPolicy(rate=1, per_ms=30_000)})
    world = World(graph=graph)
    world.owner("first").start()
    await world.settle()
    world.broker.time_ms += 60_000
    for name in ("r1", "r2"):
        world.start(name, request_id=f"start-{name}")
    await world.settle()
    assert [run.queued for run in world.runs().values()].count(True) == 1
    await world.move(29_000)
    assert [run.queued for run in world.runs().values()].count(True) == 1
    await world.finish()
    world.judge()


async def test_a_run_that_leaves_its_limit_behind_is_counted_no_more() -> None:
    """A start that comes again brings the newest version, which has no limit; others go on as before."""
    one = limited().model_copy(update={"limit": LimitPolicy(concurrency=1)})
    world = World(graph=one)
    world.owner("first").start()
    for name in ("first", "moved", "last"):
        world.start(name, request_id=f"start-{name}")
    await world.settle()
    world.deploy(pair().model_copy(update={"version": "2"}))
    world.start("moved", request_id="again", if_exists=IfExists.DEBOUNCE, version="2")
    await world.settle()
    moved = world.runs()["moved"]
    assert (moved.definition_version, moved.turn, moved.unbegun) == ("2", None, False)
    assert world.runs()["last"].queued
    await world.finish()
    world.judge()
    assert statuses(world) == {"COMPLETED"}


@pytest.mark.parametrize("seed", SEEDS)
async def test_no_schedule_breaks_a_limit(seed: int) -> None:
    """Whatever the schedule: every promise of the protocol, every run ends, and never more is out than may be."""
    world = await Play(seed, limited).go()
    world.judge()
    keeps_the_limits(world)


async def test_a_takeover_that_does_not_count_is_noticed() -> None:
    """The schedules see an owner that begins with empty lines: it lets out too much, or forgets who waits."""
    with all_mutated(("actionbus.orchestrator.takeover", "            holding.queues.note(", "            (")):
        with pytest.raises(Violated):
            await _first_that_breaks(range(40))


async def _first_that_breaks(seeds: range) -> None:
    for seed in seeds:
        world = await Play(seed, limited).go()
        world.judge()
        keeps_the_limits(world)
