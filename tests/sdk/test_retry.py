"""Retry policies as users write them."""

import pytest

from actionbus import DefinitionRefused, Retry
from actionbus.contracts.decisions import RetryPolicy


def test_a_retry_becomes_a_policy_in_milliseconds():
    """Durations are converted, everything else is kept."""
    written = Retry(attempts=3, initial="200ms", factor=3, cap="1m", jitter=0)
    assert written.policy == RetryPolicy(attempts=3, initial_ms=200, factor=3, cap_ms=60_000, jitter=0)


def test_named_delays_limit_the_attempts():
    """Two delays are between three attempts."""
    policy = Retry(delays=["20s", "5m"]).policy
    assert (policy.delays_ms, policy.attempts) == ((20_000, 300_000), 3)


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"factor": 0.5}, {"jitter": 2}, {"initial": "soon"}])
def test_a_retry_that_makes_no_sense_is_refused_where_it_is_written(wrong):
    """The constructor refuses it, not the first use."""
    with pytest.raises(DefinitionRefused):
        Retry(**wrong)
