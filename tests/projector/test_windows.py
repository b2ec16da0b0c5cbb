"""The last whole windows as metrics, of as many names as are allowed."""

import asyncio

import pytest

from actionbus.contracts.errors import Unavailable
from actionbus.process.metrics import REGISTRY
from actionbus.projector.windows import Windows
from actionbus.visibility import latency
from actionbus.visibility.insights import Insights
from visibility import inserting

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
NOW = 20_000 * DAY + 5 * HOUR + 7 * MINUTE + 31_000
LAST = {"1m": NOW - 31_000 - MINUTE, "1h": NOW - 31_000 - 7 * MINUTE - HOUR, "1d": 19_999 * DAY}


def value(metric, **labels):
    """What a gauge says; None when it has no such series."""
    return REGISTRY.get_sample_value(f"actionbus_window_{metric}", labels)


@pytest.fixture
def windows(database):
    """Tells of two workflows, and two actions."""
    made = Windows(database, most=2)
    yield made
    made.withdraw()


async def test_the_last_whole_windows_are_told(database, windows):
    """Counts, failure share and latencies of the windows that are over; the one under way is not among them."""
    fast, slow = latency.bucket_of(1_000), latency.bucket_of(30_000)
    counts = {"started": 5, "completed": 3, "failed": 1}
    await inserting.window(database, LAST["1m"], {fast: 2, slow: 1}, **counts)
    await inserting.window(database, LAST["1m"] + MINUTE, {slow: 9}, started=9, completed=9)
    await inserting.window(database, LAST["1h"], {slow: 4}, resolution="1h", started=7, completed=4)
    await windows.tell(NOW)
    minute = {"workflow": "signup", "window": "1m"}
    assert (value("runs_started", **minute), value("runs_completed", **minute)) == (5, 3)
    assert value("runs_failure_ratio", **minute) == 0.25
    assert value("runs_duration_seconds", percentile="p50", **minute) == pytest.approx(1, rel=0.02)
    assert value("runs_duration_seconds", percentile="p95", **minute) == pytest.approx(30, rel=0.02)
    assert value("runs_started", workflow="signup", window="1h") == 7
    assert value("runs_started", workflow="signup", window="1d") == 0
    assert value("runs_failure_ratio", workflow="signup", window="1d") is None


async def test_actions_are_told_under_their_own_names(database, windows):
    """An action's attempts are no runs of a workflow with its name."""
    await inserting.window(database, LAST["1d"], {}, kind="action", resolution="1d", started=4, timed_out=2)
    await windows.tell(NOW)
    assert value("attempts_started", action="signup", window="1d") == 4
    assert value("attempts_failure_ratio", action="signup", window="1d") == 1
    assert value("runs_started", workflow="signup", window="1d") is None


async def test_what_is_over_is_told_no_more(database, windows):
    """A name of which no last window tells anything has no series left."""
    await inserting.window(database, LAST["1m"], {}, started=1)
    await windows.tell(NOW)
    assert value("runs_started", workflow="signup", window="1m") == 1
    await windows.tell(NOW + MINUTE)
    assert value("runs_started", workflow="signup", window="1m") is None


async def test_the_number_of_names_is_limited(database, windows):
    """Those with the most starts are told, and nothing of the others, whatever their number is."""
    for number in range(5):
        await inserting.window(database, LAST["1m"], {}, name=f"flow-{number}", started=10 - number)
    await windows.tell(NOW)
    told = [value("runs_started", workflow=f"flow-{number}", window="1m") for number in range(5)]
    assert told == [10, 9, None, None, None]


async def test_nothing_is_told_while_the_database_is_away(database, windows, monkeypatch):
    """Old numbers would look like new ones: they go until the tables answer again."""
    await inserting.window(database, LAST["1m"], {}, started=1)
    await windows.tell(NOW)

    async def away(_self, _now):
        stop.set()
        raise Unavailable("the database is away")

    stop = asyncio.Event()
    monkeypatch.setattr(Insights, "latest", away)
    await windows.follow(stop, 60)
    assert value("runs_started", workflow="signup", window="1m") is None
