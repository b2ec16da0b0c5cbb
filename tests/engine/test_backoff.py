"""How long a retry waits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionbus.contracts.decisions import RetryPolicy
from actionbus.engine.backoff import attempts, delay_before_next

POLICIES = st.builds(
    RetryPolicy,
    initial_ms=st.integers(0, 10**9),
    factor=st.floats(1, 1e6),
    cap_ms=st.integers(0, 10**9),
    jitter=st.floats(0, 1),
)


def test_delays_grow_to_the_cap():
    """Each delay is the factor times the one before, until the cap."""
    policy = RetryPolicy(initial_ms=100, factor=3, cap_ms=2_000, jitter=0)
    assert [delay_before_next(policy, attempt, "c") for attempt in range(1, 6)] == [100, 300, 900, 2_000, 2_000]


def test_explicit_delays_are_kept_to_the_letter():
    """A list of delays says how long each wait is, and how many attempts there are."""
    policy = RetryPolicy(delays_ms=(5, 50, 500), attempts=99)
    assert [delay_before_next(policy, attempt, "c") for attempt in range(1, 5)] == [5, 50, 500, 500]
    assert attempts(policy) == 4
    assert attempts(RetryPolicy(delays_ms=())) == 1
    assert attempts(RetryPolicy(attempts=None)) is None


@given(policy=POLICIES, attempt=st.integers(1, 10**9), command=st.text())
def test_no_delay_leaves_its_bounds(policy, attempt, command):
    """A delay is never negative, never above the cap, and never spread by more than the jitter."""
    delay = delay_before_next(policy, attempt, command)
    plain = delay_before_next(policy.model_copy(update={"jitter": 0}), attempt, command)
    assert 0 <= delay <= plain <= policy.cap_ms
    assert delay >= plain * (1 - policy.jitter) - 1


@given(policy=POLICIES, attempt=st.integers(1, 100), command=st.text())
def test_the_same_command_waits_alike(policy, attempt, command):
    """The spread belongs to the command id: whoever computes it gets the same."""
    assert delay_before_next(policy, attempt, command) == delay_before_next(policy, attempt, command)


@pytest.mark.parametrize("jitter", [0.1, 1.0])
def test_jitter_spreads_commands(jitter):
    """Runs that failed together do not come back together."""
    policy = RetryPolicy(initial_ms=100_000, cap_ms=100_000, jitter=jitter)
    delays = {delay_before_next(policy, 1, f"r-{number}:0/a/1") for number in range(100)}
    assert len(delays) > 90
    assert max(delays) - min(delays) > 80_000 * jitter
