"""How long to wait before the next attempt. The spread comes from the command id: a replay waits alike."""

from hashlib import blake2b

from actionbus.contracts.decisions import RetryPolicy


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
    if policy.initial_ms == 0:
        return 0
    try:
        delay = min(policy.initial_ms * policy.factor ** (attempt - 1), float(policy.cap_ms))
    except OverflowError:  # beyond every float, so beyond every cap
        delay = float(policy.cap_ms)
    return round(delay * (1 - policy.jitter * _share(command_id)))


def _share(text: str) -> float:
    """A number from 0 to 1 that belongs to the text."""
    return int.from_bytes(blake2b(text.encode(), digest_size=4).digest()) / 0xFFFF_FFFF
