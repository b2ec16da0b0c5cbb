"""Windows and their percentiles."""

import random

import pytest

from actionbus.visibility import latency
from actionbus.visibility.insights import Insights, Resolution, Span, WindowKind
from visibility import inserting

MINUTE = 60_000
HOUR = Span(resolution=Resolution.MINUTE, after=0, before=60 * MINUTE)


async def test_windows_are_told_one_by_one_and_together(database):
    """Windows of a span come in order, and added up they answer as one."""
    fast, slow = latency.bucket_of(10), latency.bucket_of(10_000)
    await inserting.window(database, MINUTE, {slow: 1}, started=2, completed=1, failed=1, duration_ms=10_000)
    await inserting.window(database, 0, {fast: 9, slow: 0}, started=9, completed=9, duration_ms=90)
    await inserting.window(database, 60 * MINUTE, {slow: 5}, started=5)
    insights = Insights(database)
    first, second = await insights.windows(WindowKind.WORKFLOW, "signup", HOUR)
    assert (first.start, first.end, first.started, first.failure_share) == (0, MINUTE, 9, 0)
    assert second.failure_share == 0.5
    assert first.p95_ms == pytest.approx(10, rel=latency.RELATIVE_ERROR)
    whole = await insights.total(WindowKind.WORKFLOW, "signup", HOUR)
    assert (whole.started, whole.completed, whole.mean_ms) == (11, 10, 1_009)
    assert whole.p50_ms == pytest.approx(10, rel=latency.RELATIVE_ERROR)
    assert whole.p95_ms == pytest.approx(10_000, rel=latency.RELATIVE_ERROR)
    assert await insights.names(WindowKind.WORKFLOW, HOUR) == ("signup",)
    assert (await insights.total(WindowKind.ACTION, "signup", HOUR)).p50_ms is None


def test_percentiles_keep_their_relative_error():
    """Whatever the durations are, a percentile is off by no more than is promised."""
    chance = random.Random(7)  # noqa: S311 - a sample
    durations = sorted(int(chance.lognormvariate(6, 3)) + 1 for _ in range(5_000))
    counts = {}
    for each in durations:
        counts[latency.bucket_of(each)] = counts.get(latency.bucket_of(each), 0) + 1
    for share in (0.01, 0.5, 0.9, 0.95, 0.99, 1):
        exact = durations[max(0, -(-int(share * 5_000) // 1) - 1)]
        assert latency.percentile(counts, share) == pytest.approx(exact, rel=latency.RELATIVE_ERROR * 1.001)


def test_what_takes_no_time_is_told_as_nothing():
    """Less than a millisecond, and clocks that differ, are a duration of nothing."""
    assert latency.percentile({latency.bucket_of(0): 1, latency.bucket_of(-5): 2}, 0.5) == 0
