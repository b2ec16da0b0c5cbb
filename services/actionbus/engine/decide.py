"""What follows a failed attempt of a step or of a block: its rules, read as its author wrote them.

Rules are tried in order. One that names the error or has a condition decides at once. One for any error waits until the
own retry policy is used up, so that ``any -> compensate`` does not take the retries away. A retry rule that matches
stands in for the own policy; when it is used up the rules after it decide. Without a rule: the own policy, then
compensate.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actionbus.contracts import templates
from actionbus.contracts.decisions import Compensate, ContinueWith, Fail, Fallback, Pause, Retry, RetryPolicy, Rule
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.nodes import BlockRule, Handle
from actionbus.contracts.results import ActionError
from actionbus.engine import backoff, failure
from actionbus.engine.template import Template

if TYPE_CHECKING:  # the draft belongs to the shapes, which ask here
    from actionbus.engine.draft import Draft


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failed attempt and what bears on the next one.

    ``since``: when the first attempt was scheduled. ``close_at``: when all attempts together must be over. ``last``: no
    time is left. ``once``: another attempt must not be.
    """

    error: ActionError
    attempt: int
    command_id: str
    now: int
    since: int
    close_at: int | None
    last: bool = False
    once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What follows. ``number`` is the place of the rule that decided, from 1; 0: none did."""

    then: Retry | Fallback | Handle | ContinueWith | Compensate | Pause | Fail
    number: int
    rule: str
    reason: str
    delay_ms: int = 0


Holds = Callable[[int], bool]
"""Whether the condition of the rule with that number, from 1, holds; raises PayloadRefused when it has no answer."""


def conditions(draft: "Draft", path: str, whens: Sequence[Template | None], failed: Failure) -> Holds:
    """The conditions of a node's rules, over what the node can read and the failure."""

    def holds(number: int) -> bool:
        when = whens[number - 1]
        if when is None:
            return True
        more = {
            templates.ERROR: failure.as_json(failed.error),
            templates.ATTEMPT: failed.attempt,
            templates.ELAPSED: failed.now - failed.since,
        }
        return draft.holds(when, path, **more)

    return holds


def decide(rules: Sequence[Rule | BlockRule], policy: RetryPolicy, failed: Failure, *, holds: Holds) -> Verdict:
    """Choose what follows a failed attempt."""
    why_not: list[str] = []
    own = True
    if failed.error.type == failure.DEADLINE_PASSED and not failed.last:
        delay = backoff.delay_before_next(policy, failed.attempt, failed.command_id)
        return Verdict(then=Retry(policy=policy), number=0, rule="", reason="it never began", delay_ms=delay)
    for number, rule in enumerate(rules, start=1):
        if not _matches(number, rule, failed, holds, why_not):
            continue
        if isinstance(rule.then, Retry):
            own = False
            again = _again(rule.then.policy, failed, why_not, by=(number, _words(number, rule)))
            if again is not None:
                return again
            continue
        if rule.error_type is None and rule.when is None and own:
            own = False
            again = _again(policy, failed, why_not)
            if again is not None:
                return again
        return Verdict(then=rule.then, number=number, rule=_words(number, rule), reason=_reason(failed, why_not))
    again = _again(policy, failed, why_not) if own else None
    return again or Verdict(then=Compensate(), number=0, rule="", reason=_reason(failed, why_not))


def _matches(number: int, rule: Rule | BlockRule, failed: Failure, holds: Holds, why_not: list[str]) -> bool:
    if rule.error_type is not None and rule.error_type != failed.error.type:
        return False
    try:
        return holds(number)
    except PayloadRefused as refused:
        why_not.append(f"the condition of rule {number} has no answer: {refused}")
        return False


def _again(
    policy: RetryPolicy, failed: Failure, why_not: list[str], *, by: tuple[int, str] = (0, "")
) -> Verdict | None:
    """Another attempt, or None with the reason added to ``why_not``."""
    limit = backoff.attempts(policy)
    delay = failed.error.retry_after_ms
    if delay is None:
        delay = backoff.delay_before_next(policy, max(failed.attempt, 1), failed.command_id)
    reason = _hindrance(failed, limit, delay)
    if reason is None:
        of = "" if limit is None else f" of {limit}"
        reason = f"{failed.error.type}: attempt {failed.attempt + 1}{of} follows in {delay} ms"
        return Verdict(then=Retry(policy=policy), number=by[0], rule=by[1], reason=reason, delay_ms=delay)
    if reason not in why_not:
        why_not.append(reason)
    return None


def _hindrance(failed: Failure, limit: int | None, delay: int) -> str | None:
    if failed.last:
        return "the time for all attempts together is over"
    if not failed.error.retryable:
        return "another attempt would not help"
    if failed.once:
        return "the action runs at most once"
    if limit is not None and failed.attempt >= limit:
        return "it was the only attempt" if limit == 1 else f"all {limit} attempts are used up"
    if failed.close_at is not None and failed.now + delay >= failed.close_at:
        return "the next attempt would begin after the time for all attempts together"
    return None


def _words(number: int, rule: Rule | BlockRule) -> str:
    when = "" if rule.when is None else f" when {_condition(rule.when)}"
    return f"rule {number}: {rule.error_type or 'any error'}{when} -> {rule.then.kind}"


def _condition(when: object) -> str:
    return when[templates.CEL] if isinstance(when, dict) and templates.CEL in when else "its condition holds"


def _reason(failed: Failure, why_not: list[str]) -> str:
    return "; ".join(
        [f"{failed.error.type}: {failed.error.message}" if failed.error.message else failed.error.type, *why_not]
    )
