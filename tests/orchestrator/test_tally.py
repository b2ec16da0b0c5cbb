"""What metrics say of runs: the same whether a shard has seen everything happen or has found it at a takeover."""

import pytest

from actionbus.contracts.requests import RequestKind
from actionbus.contracts.results import ActionError, ResultKind
from actionbus.process import metrics
from engine.graphs import ONCE, PAUSE, graph, on, parallel, step
from protocol.world import Owner, World

TWO_STUCK = graph(parallel("both", step("one", on(None, PAUSE)), step("two", on(None, PAUSE))), name="tallied")


def _stuck() -> float:
    return metrics.INCIDENTS_OPEN.labels(workflow="tallied")._value.get()


def _live() -> float:
    return metrics.RUNS_LIVE.labels(workflow="tallied")._value.get()


def _ended(status: str) -> float:
    return metrics.RUNS_COMPLETED.labels(workflow="tallied", status=status)._value.get()


async def _two_stuck() -> tuple[World, Owner]:
    world = World(graph=TWO_STUCK)
    world.worker.failing.update(("both.one", "both.two"))
    owner = world.owner("first").start()
    world.start("r1")
    await world.settle()
    world.worker.work()
    await world.settle()
    return world, owner


async def test_every_step_that_waits_for_an_operator_counts_through_a_takeover() -> None:
    """Two are stuck in one run: two before the takeover, none without an owner, two after it, one once one is skipped."""
    world, first = await _two_stuck()
    counted = [_stuck()]
    await first.leave()
    counted.append(_stuck())
    second = world.owner("second").start()
    await world.settle()
    counted.append(_stuck())
    world.request("r1", RequestKind.SKIP_STEP, "skip", step="both.one")
    await world.settle()
    counted.append(_stuck())
    await second.leave()
    assert (counted, _stuck(), _live()) == ([2, 0, 2, 1], 0, 0)


@pytest.mark.parametrize("how", [RequestKind.CANCEL, RequestKind.TERMINATE])
async def test_a_run_that_is_given_up_waits_for_nobody(how: RequestKind) -> None:
    """Whoever cancels or terminates a run with stuck steps closes its incidents; it counts under how it ended."""
    world, owner = await _two_stuck()
    status = {RequestKind.CANCEL: "CANCELLED", RequestKind.TERMINATE: "TERMINATED"}[how]
    before = _ended(status)
    world.request("r1", how, "give-up")
    await world.settle()
    assert (_stuck(), _live(), _ended(status) - before) == (0, 0, 1)
    await owner.leave()


async def test_an_undo_that_was_stuck_when_its_run_was_terminated_waits_for_nobody() -> None:
    """The incident of an undo is closed as well when nothing is undone any more."""
    world = World(graph=graph(step("one", undo="undo-one"), step("two"), name="tallied", undo_retry=ONCE))
    owner = world.owner("first").start()
    world.start("r1")
    await world.settle()
    world.worker.work()
    await world.settle()
    world.cancel("r1")
    await world.settle()
    (undo,) = [each for each in world.worker.take() if each.step == "one"]
    failed = world.worker.execute(undo).replace(kind=ResultKind.FAILED, output=None, error=ActionError(type="Broken"))
    world.worker.answer(failed)
    await world.settle()
    assert _stuck() == 1
    world.request("r1", RequestKind.TERMINATE, "terminate")
    await world.settle()
    assert (_stuck(), _live()) == (0, 0)
    await owner.leave()
