"""Moments as text and as milliseconds."""

import pytest

from actionbus.contracts import moments
from actionbus.contracts.errors import PayloadRefused


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("2026-12-24T18:00:00+01:00", 1_798_131_600_000),
        ("2026-12-24T17:00:00.25Z", 1_798_131_600_250),
        (1_798_131_600_000, 1_798_131_600_000),
    ],
)
def test_a_moment_is_text_with_its_zone_or_milliseconds(given, found):
    """All of them name one moment."""
    assert moments.moment(given) == found


@pytest.mark.parametrize("given", ["soon", "2026-12-24T18:00:00", True, None, -1, 10**15])
def test_what_is_no_moment_is_refused(given):
    """With a sentence that says how one is written."""
    with pytest.raises(PayloadRefused):
        moments.moment(given)


def test_a_moment_is_written_in_utc():
    """As part of an id without anything that an id may not hold, and as text; milliseconds only where there are any."""
    assert moments.compact(1_798_131_600_000) == "20261224T170000Z"
    assert moments.compact(1_798_131_600_007) == "20261224T170000.007Z"
    assert moments.text(1_798_131_600_007) == "2026-12-24T17:00:00.007Z"
    assert moments.moment(moments.text(1_798_131_600_007)) == 1_798_131_600_007
