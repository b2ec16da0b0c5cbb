"""Time that passes."""

import pytest

from engine.graphs import cel, parallel, ref, sleep, step, workflow
from engine.matchers import has_ended, live, waiting
from engine.play import START, started


@pytest.mark.parametrize(
    ("fields", "given", "due"),
    [
        ({"for_ms": 500}, None, START + 500),
        ({"for_ms": 2.6}, None, START + 3),
        ({"for_ms": cel("n * 1000", n=ref("input"))}, 2, START + 2_000),
        ({"until": ref("input")}, START + 7, START + 7),
        ({"until": "1970-01-01T01:20:00+01:00"}, None, START + 200_000),
    ],
)
def test_the_run_goes_on_when_the_time_has_come(fields, given, due):
    """The time is a number of milliseconds or a moment, by the broker's clock."""
    play = started(workflow(sleep("s", **fields), step("a")), given)
    assert waiting(play.run) == {"wake of s": due}
    play.passes(due - START)
    assert live(play.run) == {"a": "SCHEDULED"}
    assert play.run.timers == ()


@pytest.mark.parametrize("fields", [{"for_ms": 0}, {"until": 5}, {"until": "1960-01-01T00:00:00Z"}])
def test_a_time_that_is_past_costs_nothing(fields):
    """Nothing is waited for when the moment has been."""
    assert live(started(workflow(sleep("s", **fields), step("a"))).run) == {"a": "SCHEDULED"}


@pytest.mark.parametrize(
    "fields",
    [
        {"for_ms": -1},
        {"for_ms": True},
        {"for_ms": "1"},
        {"for_ms": 1e300},
        {"for_ms": cel("1.0 / 0.0")},
        {"for_ms": cel("0.0 / 0.0")},
        {"until": "tomorrow"},
        {"until": "2026-12-24T18:00:00"},
        {"until": -1},
        {"until": True},
        {"until": 10**18},
        {"for_ms": ref("input", "no")},
    ],
)
def test_what_is_no_time_fails_it(fields):
    """A time that nobody can wait for is a failure with a reason, never a run that stands still."""
    play = started(workflow(sleep("s", **fields)), {})
    has_ended(play, "FAILED")
    assert play.run.error.type == "InputRefused"


def test_a_sleep_that_is_given_up():
    """No timer is left of a sleep in a branch that was not needed."""
    play = started(workflow(parallel("p", sleep("s", 100), step("a"), enough=1), step("z")))
    play.succeeds("p.a")
    assert play.run.timers == ()
