"""The index of what is due when."""

from actionbus.orchestrator.timers import Timers


def _due(timers: Timers, now: int) -> list[str]:
    found = []
    while (run := timers.pop(now)) is not None:
        found.append(run)
    return found


def test_what_is_due_comes_in_its_order_and_once() -> None:
    """Earliest first; what is not due stays."""
    timers = Timers()
    for run, at in (("c", 30), ("a", 10), ("b", 20)):
        timers.arm_at(run, at)
    assert timers.next_at == 10
    assert _due(timers, 25) == ["a", "b"]
    assert (timers.next_at, len(timers)) == (30, 1)
    assert _due(timers, 25) == []


def test_an_earlier_time_replaces_a_later_one_and_not_the_reverse() -> None:
    """One entry for each run: looking too early is harmless, too late is not."""
    timers = Timers()
    timers.arm_at("a", 50)
    timers.arm_at("a", 20)
    timers.arm_at("a", 80)
    assert (timers.next_at, len(timers)) == (20, 1)
    assert _due(timers, 100) == ["a"]
    assert timers.next_at is None


def test_a_run_that_is_gone_is_not_looked_at() -> None:
    """And may be armed again afterwards."""
    timers = Timers()
    timers.arm_at("a", 10)
    timers.disarm("a")
    timers.disarm("never-was")
    assert _due(timers, 100) == []
    timers.arm_at("a", 20)
    assert _due(timers, 100) == ["a"]


def test_many_transitions_leave_one_entry() -> None:
    """A step's timeout is set far more often than it fires; the index does not grow with that."""
    timers = Timers()
    for at in range(1_000, 2_000):
        timers.arm_at("a", at)
    assert len(timers._heap) == 1
