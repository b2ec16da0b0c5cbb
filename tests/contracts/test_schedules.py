"""What may be a schedule, and when it fires."""

from itertools import islice

import pytest

from actionbus.contracts import identifiers, moments, schedules
from actionbus.contracts.errors import IdentifierRefused, PayloadRefused

NOON = moments.moment("2026-11-24T12:00:00Z")
HOURLY = {"workflow": "report", "every_ms": 3_600_000}


def _fires(after=NOON, number=3, **fields):
    return [moment - NOON for moment in islice(schedules.schedule(HOURLY | fields).firings(after), number)]


def test_an_interval_is_counted_from_its_start():
    """Without one, from 1970: so it fires at full hours."""
    assert _fires(NOON + 1) == [3_600_000, 7_200_000, 10_800_000]
    assert _fires(NOON, 2, start_at=NOON + 5) == [5, 3_600_005]
    assert _fires(NOON, 2, start_at="2026-11-24T11:10:00Z") == [600_000, 4_200_000]


def test_nothing_fires_before_the_start_or_after_the_end():
    """Both moments themselves may fire."""
    assert _fires(0, 9, start_at=NOON, end_at=NOON + 7_200_000) == [0, 3_600_000, 7_200_000]
    cron = {"every_ms": None, "cron": "0 * * * *", "start_at": NOON, "end_at": NOON + 3_600_000}
    assert _fires(0, 9, **cron) == [0, 3_600_000]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"every_ms": None}, "say either cron or every_ms"),
        ({"cron": "* * * * *"}, "say either cron or every_ms"),
        ({"every_ms": 0}, "every_ms: Input should be greater than or equal to 1000"),
        ({"every_ms": None, "cron": "61 * * * *"}, "is no cron expression"),
        ({"time_zone": "Mars/Olympus"}, "there is no time zone 'Mars/Olympus'"),
        ({"start_at": "2026-11-24T12:00:00"}, "says no time zone"),
        ({"start_at": NOON, "end_at": NOON - 1}, "end_at is before start_at"),
        ({"start_at": NOON + 1, "end_at": NOON + 1, "every_ms": None, "cron": "0 12 * * *"}, "it never fires"),
        ({"workflow": "Not One"}, "workflow 'Not One' is not valid"),
        ({"workflow": "actionbus-schedule"}, "cannot start schedules"),
        ({"time_as": "day"}, "time_as needs an input that is an object"),
        ({"catch_up_ms": 9_999}, "catch_up_ms"),
        ({"jitter_ms": 86_400_001}, "jitter_ms"),
        ({"every_ms": 10**30}, "it never fires"),
        ({"every_ms": None, "cron": "0 0 */31 * MON#2"}, "it never fires"),
        ({"start_at": "1969-12-31T23:00:00Z"}, "before 1970"),
        ({"overlap": "explode"}, "overlap"),
        ({"evry_ms": 5}, "evry_ms"),
    ],
)
def test_what_can_never_fire_as_it_is_written_is_refused(fields, why):
    """With a sentence that names what is wrong."""
    with pytest.raises(PayloadRefused, match=why):
        schedules.schedule(HOURLY | fields)


def test_what_is_said_of_mistakes_is_short():
    """However many there are, and however long: it goes into an event."""
    for given in ({f"k{number}": 1 for number in range(10_000)}, {"k" * 100_000: 1}):
        with pytest.raises(PayloadRefused) as caught:
            schedules.schedule(HOURLY | given)
        assert len(str(caught.value)) < 1_100


def test_a_run_may_be_told_the_time_that_it_is_for():
    """Under a key of its input that the schedule names."""
    plain = schedules.schedule(HOURLY | {"input": {"n": 1}})
    assert plain.value(NOON) == {"n": 1}
    told = schedules.schedule(HOURLY | {"input": {"n": 1}, "time_as": "at"})
    assert told.value(NOON) == {"n": 1, "at": "2026-11-24T12:00:00Z"}


def test_the_run_of_a_firing_is_named_by_its_time():
    """And one that was triggered also by a number."""
    assert identifiers.firing_run_id("nightly", NOON) == "nightly-20261124T120000Z"
    assert identifiers.firing_run_id("nightly", NOON + 5, triggered=2) == "nightly-20261124T120000.005Z-t2"


def test_the_id_of_a_schedule_leaves_room_for_the_time():
    """The longest that is taken, and one more character."""
    assert schedules.check_id("s" * 167)
    with pytest.raises(IdentifierRefused, match="at most 167 characters"):
        schedules.check_id("s" * 168)


def test_passed_firings_are_counted_up_to_a_limit():
    """From the first one on, before a moment."""
    hourly = schedules.schedule(HOURLY)
    assert hourly.passed(NOON, NOON + 10_800_000, 100) == 3
    assert hourly.passed(NOON, NOON + 10_800_001, 100) == 4
    assert hourly.passed(NOON, NOON + 10_800_001, 2) == 2
