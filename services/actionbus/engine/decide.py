"""What follows a failed attempt: the rules of the step, read as its author wrote them.

Rules are tried in order. One that names the error decides at once. One for any error waits until the step's own retry
policy is used up, so that ``any -> compensate`` does not take the retries away. A retry rule that matches stands in for
the step's own policy; when it is used up the rules after it decide. Without a rule: the own policy, then compensate.
"""

from dataclasses import dataclass

from actionbus.contracts.definitions import (
    Compensate,
    ContinueWith,
    Effect,
    Fail,
    Fallback,
    Retry,
    RetryPolicy,
    Rule,
)
from actionbus.contracts.results import ActionError
from actionbus.engine import backoff, failure
from actionbus.engine.shapes.step import StepPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failed attempt and what bears on the next one. ``close_at``: when all attempts together must be over."""

    error: ActionError
    attempt: int
    command_id: str
    now: int
    close_at: int | None
    last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What follows. ``number`` is the place of the rule that decided, from 1; 0: none did."""

    then: Retry | Fallback | ContinueWith | Compensate | Fail
    number: int
    rule: str
    reason: str
    delay_ms: int = 0


def decide(plan: StepPlan, failed: Failure) -> Verdict:
    """Choose what follows a failed attempt of a step."""
    why_not: list[str] = []
    own = True
    if failed.error.type == failure.DEADLINE_PASSED and not failed.last:
        delay = backoff.delay_before_next(plan.retry, failed.attempt, failed.command_id)
        return Verdict(then=Retry(policy=plan.retry), number=0, rule="", reason="it never began", delay_ms=delay)
    for number, rule in enumerate(plan.rules, start=1):
        if rule.error_type is not None and rule.error_type != failed.error.type:
            continue
        if isinstance(rule.then, Retry):
            own = False
            again = _again(rule.then.policy, plan, failed, why_not, by=(number, _words(number, rule)))
            if again is not None:
                return again
            continue
        if rule.error_type is None and own:
            own = False
            again = _again(plan.retry, plan, failed, why_not)
            if again is not None:
                return again
        return Verdict(then=rule.then, number=number, rule=_words(number, rule), reason=_reason(failed, why_not))
    again = _again(plan.retry, plan, failed, why_not) if own else None
    return again or Verdict(then=Compensate(), number=0, rule="", reason=_reason(failed, why_not))


def _again(
    policy: RetryPolicy, plan: StepPlan, failed: Failure, why_not: list[str], *, by: tuple[int, str] = (0, "")
) -> Verdict | None:
    """Another attempt, or None with the reason added to ``why_not``."""
    limit = backoff.attempts(policy)
    delay = failed.error.retry_after_ms
    if delay is None:
        delay = backoff.delay_before_next(policy, max(failed.attempt, 1), failed.command_id)
    reason = _hindrance(plan, failed, limit, delay)
    if reason is None:
        of = "" if limit is None else f" of {limit}"
        reason = f"{failed.error.type}: attempt {failed.attempt + 1}{of} follows in {delay} ms"
        return Verdict(then=Retry(policy=policy), number=by[0], rule=by[1], reason=reason, delay_ms=delay)
    if reason not in why_not:
        why_not.append(reason)
    return None


def _hindrance(plan: StepPlan, failed: Failure, limit: int | None, delay: int) -> str | None:
    if failed.last:
        return "the time for all attempts together is over"
    if not failed.error.retryable:
        return "another attempt would not help"
    if plan.action.effect is Effect.AT_MOST_ONCE:
        return "the action runs at most once"
    if limit is not None and failed.attempt >= limit:
        return "it was the only attempt" if limit == 1 else f"all {limit} attempts are used up"
    if failed.close_at is not None and failed.now + delay >= failed.close_at:
        return "the next attempt would begin after the time for all attempts together"
    return None


def _words(number: int, rule: Rule) -> str:
    return f"rule {number}: {rule.error_type or 'any error'} -> {rule.then.kind}"


def _reason(failed: Failure, why_not: list[str]) -> str:
    return "; ".join(
        [f"{failed.error.type}: {failed.error.message}" if failed.error.message else failed.error.type, *why_not]
    )
