"""The line through samples is the line that they lie on."""

import pytest

from faults.leaks import Line


def test_the_slope_is_that_of_what_is_settled() -> None:
    """What grows at the beginning only does not count."""
    beginning = [(at, at * 10.0) for at in range(10)]
    line = Line([*beginning, *((float(at), 100.0 + at / 36) for at in range(10, 60))])
    assert line.per_hour == pytest.approx(100)
    assert line.mean == pytest.approx(100 + 39.5 / 36, rel=1e-2)


def test_too_few_samples_have_no_slope() -> None:
    """Nothing is said of what was hardly looked at."""
    assert Line([(0.0, 1.0), (1.0, 2.0)]).per_hour is None
    assert Line().settled == []
