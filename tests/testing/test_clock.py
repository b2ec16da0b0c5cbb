"""The clock of a test."""

from datetime import UTC, datetime

import pytest

from actionbus import Refused
from actionbus.testing import FakeClock


def test_a_clock_stands_still_until_it_is_moved():
    """Time passes only when somebody lets it."""
    clock = FakeClock(datetime(2030, 1, 1, tzinfo=UTC))
    assert (clock.now_ms, clock.elapsed_ms) == (1_893_456_000_000, 0)
    clock.advance("1h")
    assert (clock.now_ms, clock.elapsed_ms) == (1_893_459_600_000, 3_600_000)


def test_time_does_not_go_back():
    """A moment in the past is refused."""
    clock = FakeClock()
    with pytest.raises(Refused):
        clock.advance_to(clock.now_ms - 1)
