"""When cron expressions fire, above all where the clocks change."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionbus.contracts import cron, moments
from actionbus.contracts.errors import PayloadRefused

DAY_MS = 86_400_000
SKIPPED = moments.moment("2026-03-28T12:00:00Z")  # in the night after it, Berlin goes from 02:00 to 03:00
TWICE = moments.moment("2026-10-24T12:00:00Z")  # in the night after it, Berlin goes from 03:00 to 02:00


def fires(expression: str, after: int, number: int = 3, zone: str = "Europe/Berlin") -> list[str]:
    """The first firings after a moment, in UTC."""
    found = []
    while len(found) < number:
        after = cron.next_after(expression, zone, after)
        found.append(moments.text(after)[5:-1])
    return found


def test_a_cron_of_five_fields_fires_at_the_full_minute():
    """In the time of its zone."""
    assert fires("30 7 * * MON", SKIPPED, 2) == ["03-30T05:30:00", "04-06T05:30:00"]
    assert fires("30 7 * * MON", SKIPPED, 1, "UTC") == ["03-30T07:30:00"]


def test_a_cron_of_six_fields_begins_with_the_second():
    """Several a minute, or one."""
    assert fires("*/20 * * * * *", SKIPPED) == ["03-28T12:00:20", "03-28T12:00:40", "03-28T12:01:00"]
    assert fires("7 0 13 * * *", SKIPPED, 2) == ["03-28T12:00:07", "03-29T11:00:07"]


@pytest.mark.parametrize("expression", ["30 2 * * *", "0 30 2 * * *"])
def test_a_local_time_that_is_skipped_fires_when_the_clocks_have_moved(expression):
    """02:30 does not exist that day: it fires at 03:00, which is 01:00 in UTC."""
    assert fires(expression, SKIPPED, 2) == ["03-29T01:00:00", "03-30T00:30:00"]


@pytest.mark.parametrize("expression", ["30 2 * * *", "0 30 2 * * *"])
def test_a_local_time_that_comes_twice_fires_the_first_time(expression):
    """02:30 is there as 00:30 and 01:30 in UTC, also for whoever looks between the two."""
    assert fires(expression, TWICE, 2) == ["10-25T00:30:00", "10-26T01:30:00"]
    between = moments.moment("2026-10-25T01:10:00Z")
    assert fires(expression, between, 1) == ["10-26T01:30:00"]


def test_what_fires_every_few_minutes_follows_real_time():
    """No firing is left out or comes twice at once, whatever the clocks on the walls say."""
    assert fires("*/30 * * * *", moments.moment("2026-03-29T00:40:00Z")) == [
        "03-29T01:00:00",
        "03-29T01:30:00",
        "03-29T02:00:00",
    ]
    assert fires("*/30 * * * *", moments.moment("2026-10-25T00:10:00Z"), 4) == [
        "10-25T00:30:00",
        "10-25T01:00:00",
        "10-25T01:30:00",
        "10-25T02:00:00",
    ]


def test_several_seconds_of_an_hour_that_comes_twice_come_twice():
    """And those of an hour that is skipped not at all: for several seconds of a minute nothing is special."""
    assert fires("0,30 0 2 * * *", TWICE, 4)[::2] == ["10-25T00:00:00", "10-25T01:00:00"]
    assert fires("0,30 0 2 * * *", SKIPPED, 1) == ["03-30T00:00:00"]


def test_a_cron_that_never_fires_ends():
    """There is no 31st of those months; nor a firing after the last year that there is."""
    assert cron.next_after("0 0 31 2,4 FRI#1", "UTC", moments.LATEST_MS - DAY_MS) is None


@pytest.mark.parametrize(
    "expression", ["", "* * * *", "* * * * * * *", "60 * * * *", "x * * * *", "0 0 30 2 *", "*/0 * * * *", "* " * 300]
)
def test_what_is_no_cron_is_refused(expression):
    """With a sentence."""
    with pytest.raises(PayloadRefused, match="is no cron expression"):
        cron.check(expression)


@pytest.mark.parametrize("name", ["", "Europe/Atlantis", "../../etc/passwd", "/etc/passwd", "a\0b", "Europe"])
def test_what_is_no_time_zone_is_refused(name):
    """Also a name that would lead elsewhere."""
    with pytest.raises(PayloadRefused, match="there is no time zone"):
        cron.zone(name)


ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Africa/Cairo"]
EXPRESSIONS = st.builds(
    "{} {} {} {} * {}".format,
    st.sampled_from(["0", "59", "*/20", "5,35"]),
    st.sampled_from(["0", "30", "*", "*/7", "15,45"]),
    st.sampled_from(["*", "0", "1,2", "2", "23", "*/5"]),
    st.sampled_from(["*", "1", "L", "29-31"]),
    st.sampled_from(["*", "SUN", "7L"]),
)


@given(
    expression=EXPRESSIONS,
    zone=st.sampled_from(ZONES),
    after=st.integers(moments.moment("2024-01-01T00:00:00Z"), moments.moment("2028-01-01T00:00:00Z")),
    share=st.floats(0, 1, exclude_max=True),
)
def test_wherever_one_begins_to_look_the_firings_are_the_same(expression, zone, after, share):
    """A firing is after what it follows, and whoever looks from a moment before it finds it: none is lost or doubled."""
    first = cron.next_after(expression, zone, after)
    if first is None:
        return
    assert first > after
    between = after + int((first - after) * share)
    assert cron.next_after(expression, zone, between) == first


def test_clocks_that_change_by_half_an_hour_lead_past_no_firing():
    """Every five hours on the island of Lord Howe, on the night when its clocks go back."""
    midnight = moments.moment("2027-04-03T13:00:00Z")
    assert cron.next_after("0 0 */5 * * *", "Australia/Lord_Howe", midnight) == moments.moment("2027-04-03T18:30:00Z")
    evening = moments.moment("2027-03-05T12:00:00Z")
    assert cron.next_after("0 */20 4 * *", "Australia/Lord_Howe", midnight) == moments.moment("2027-04-04T09:30:00Z")
    assert cron.next_after("0 */20 4 * *", "Australia/Lord_Howe", evening) == midnight


def test_firings_follow_one_another():
    """A day of them, each second counted once."""
    moment, found = TWICE, []
    for _ in islice(range(10_000), 25 * 60):
        moment = cron.next_after("* * * * *", "Europe/Berlin", moment)
        found.append(moment)
    assert found == [TWICE + 60_000 * (number + 1) for number in range(25 * 60)]
