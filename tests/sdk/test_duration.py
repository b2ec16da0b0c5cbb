"""Durations as people write them."""

from datetime import timedelta

import pytest

from actionbus import DefinitionRefused
from actionbus.sdk import duration


@pytest.mark.parametrize(
    ("written", "expected_ms"),
    [
        ("250ms", 250),
        ("1s", 1_000),
        ("1.5s", 1_500),
        ("5m", 300_000),
        ("1h30m", 5_400_000),
        ("2d", 172_800_000),
        (timedelta(minutes=2), 120_000),
        (3, 3_000),
        (0.25, 250),
        (0, 0),
    ],
)
def test_every_way_to_write_a_duration_gives_milliseconds(written, expected_ms):
    """Text with units, a timedelta and a number of seconds mean what they say."""
    assert duration.milliseconds(written, what="timeout") == expected_ms


@pytest.mark.parametrize(
    "wrong", ["", "5", "5 m", "m5", "5x", "-1s", "1s-", -1, float("nan"), float("inf"), timedelta(-1)]
)
def test_what_is_no_duration_is_refused_with_its_name(wrong):
    """A text without unit, a negative time and an endless one are refused, and the message names the option."""
    with pytest.raises(DefinitionRefused, match="timeout"):
        duration.milliseconds(wrong, what="timeout")
