"""How long to wait before the next attempt. The spread comes from the command id: a replay waits alike."""

from hashlib import blake2b
from typing import Final

from actionbus.contracts.definitions import RetryPolicy

_STEEPEST: Final = 1_000  # a float overflows beyond; every cap is reached long before


def attempts(policy: RetryPolicy) -> int | None:
    """All attempts that a policy allows, the first included; None: without limit."""
    return policy.attempts if policy.delays_ms is None else len(policy.delays_ms) + 1


def delay_before_next(policy: RetryPolicy, attempt: int, command_id: str) -> int:
    """Milliseconds between the failure of an attempt (1 for the first) and the next one.

    Explicit delays are kept to the letter; beyond their end the last one stays. Growing ones are spread downwards by
    the policy's jitter, so the cap is never exceeded.
    """
    if policy.delays_ms is not None:
        return policy.delays_ms[min(attempt, len(policy.delays_ms)) - 1] if policy.delays_ms else 0
    growth = _growth(policy.factor, min(attempt - 1, _STEEPEST))
    delay = min(policy.initial_ms * growth, float(policy.cap_ms))
    return round(delay * (1 - policy.jitter * _share(command_id)))


def _growth(factor: float, times: int) -> float:
    try:
        return factor**times
    except OverflowError:
        return float("inf")


def _share(text: str) -> float:
    """A number from 0 to 1 that belongs to the text."""
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest()) / 0xFFFF_FFFF
