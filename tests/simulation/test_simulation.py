"""Thousands of whole worlds on the shipped code, each from one seed, and none of them breaks a promise."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from actionbus.contracts.events import EntryKind
from actionbus.contracts.requests import RequestKind
from simulation import explore, world
from simulation.acts import Ask, Freeze, Trouble
from simulation.plan import Plan, drawn

WIDE = (
    *(EntryKind.CHILD_STARTED, EntryKind.CHILD_ENDED, EntryKind.CHILD_GIVEN_UP, EntryKind.FIRING_SKIPPED),
    *(EntryKind.STEP_DEFERRED, EntryKind.QUEUED, EntryKind.TASK_OPENED, EntryKind.TASK_REMINDED),
    *(EntryKind.RUN_PAUSED, EntryKind.RUN_RESUMED, EntryKind.RUN_REWOUND, EntryKind.STEP_SKIPPED),
)
ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_no_world_breaks_a_promise() -> None:
    """Whatever dies, freezes, is lost, late, doubled or asked: one history, each effect once, and everything ends."""
    seed, _ = explore.explore(0, int(os.environ.get("SEEDS", explore.SEEDS)))
    assert seed is None, explore.told(seed)


def test_a_word_that_nobody_waits_takes_no_slot() -> None:
    """A worker that wakes up finds a command and the word that gives it up at once, and goes on carrying out others."""
    acts = (
        Ask(3, "r1", RequestKind.START, "r1-start"),
        Trouble("w", "settle", 2, "unanswered", 3_000),
        Freeze("w", "settle", 2, 1, 6_000),
    )
    plan = Plan(seed=1500, acts=acts, orchestrators=("o1",), verifies=False, failing=0.3)
    report = world.run(plan)
    assert report.broken is None, explore.story(report)


def test_much_happens_in_the_worlds() -> None:
    """Every kind of fault strikes, runs end in every way, and whatever only wide worlds have is there: nothing is blind."""
    happened: Counter = Counter()
    for seed in range(150):
        happened.update(world.run(drawn(seed)).happened)
    faults = ("kill", "freeze", "trouble", "move", "jump", "markers")
    ends = ("COMPLETED", "FAILED", "CANCELLED", "TERMINATED", "TIMED_OUT")
    wide = ("astray", "deploy", "fired", "answered", "replaced", *(each.value for each in WIDE))
    assert [each for each in (*faults, *ends, *wide) if not happened[each]] == [], happened


def test_a_seed_is_one_world() -> None:
    """The same seed gives the same trace to the byte, in processes that hash differently and have other things behind them."""
    told = []
    for hashing, before in (("1", 0), ("2", 3)):
        script = (
            "from simulation import explore, world; from simulation.plan import drawn\n"
            f"for seed in range({before}): world.run(drawn(seed))\n"
            "for seed in range(40, 60): print(explore.story(world.run(drawn(seed))))"
        )
        environment = os.environ | {"PYTHONHASHSEED": hashing, "PYTHONPATH": str(ROOT / "tests")}
        told.append(
            subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, check=True).stdout
        )
    assert told[0]
    assert told[0] == told[1]


def test_the_command_tells_a_world() -> None:
    """``python -m tests.simulation SEED`` prints what happened, the same every time."""
    command = [sys.executable, "-m", "tests.simulation", "7"]
    one, other = (
        subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout for _ in range(2)
    )
    assert one == other
    assert one.startswith("seed 7: every promise is kept")
    assert "client" in one
