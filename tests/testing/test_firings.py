"""When a schedule fires, without Kafka."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from actionbus.client import schedule
from actionbus.testing import firings

BERLIN = ZoneInfo("Europe/Berlin")


def test_the_next_firings_are_told_in_the_time_of_the_schedule():
    """Across the night in which the clocks move."""
    made = schedule("report", cron="30 2 * * *", time_zone="Europe/Berlin")
    assert firings(made, 3, after=datetime(2026, 3, 28, tzinfo=UTC)) == [
        datetime(2026, 3, 28, 2, 30, tzinfo=BERLIN),
        datetime(2026, 3, 29, 3, 0, tzinfo=BERLIN),
        datetime(2026, 3, 30, 2, 30, tzinfo=BERLIN),
    ]


def test_there_may_be_fewer_than_asked_for():
    """The schedule ends."""
    made = schedule("report", every="1h", end_at=datetime(2026, 1, 1, 2, tzinfo=UTC))
    assert len(firings(made, 9, after=datetime(2026, 1, 1, tzinfo=UTC))) == 2
