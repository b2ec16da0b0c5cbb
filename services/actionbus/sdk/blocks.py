"""Blocks with rules of their own: try, except and finally over several steps."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from actionbus.contracts import decisions
from actionbus.contracts.decisions import RetryPolicy
from actionbus.contracts.nodes import BlockRule, Handle, TryNode
from actionbus.contracts.templates import SCOPE
from actionbus.sdk import shape
from actionbus.sdk.draft import Draft
from actionbus.sdk.duration import Duration
from actionbus.sdk.given import Given, annotation_of, either
from actionbus.sdk.reference import Origin, standing_for
from actionbus.sdk.rule import Decision, Failure
from actionbus.sdk.step import condition
from actionbus.sdk.template import Writing

_ATTEMPT: Final = "flow.attempt"


def attempt(
    draft: Draft,
    body: Callable[[], Any],
    name: str | None,
    *,
    on_failure: Sequence[Decision[Any]],
    always: Callable[[], Any] | None,
    timeout: Duration | None,
) -> Any:
    """Write a block, what follows its failures, and what follows in every case."""
    writing = draft.writing()
    node = draft.claim(name, draft.number("attempt"), writing, 'flow.attempt(..., id="...")')
    inner, gives = draft.block(f"{node}-block", _ATTEMPT, writing, body)
    given = [gives]
    rules: list[BlockRule] = []
    for number, rule in enumerate(on_failure, start=1):
        at = draft.writing(rule.place)
        then, instead = _then(draft, node, number, rule, at)
        rules.append(BlockRule(error_type=rule.matches.error_type, when=condition(rule, at), then=then, undo=rule.undo))
        given += instead
    last = None if always is None else draft.block(f"{node}-always", _ATTEMPT, writing, always)[0]
    limit = writing.limit(timeout, "timeout")
    draft.add(TryNode, writing, id=node, body=inner, rules=tuple(rules), always=last, timeout_ms=limit)
    found = shape.either([each.shape for each in given])
    return draft.result(node, either([each.annotation for each in given]), found)


def _then(draft: Draft, node: str, number: int, rule: Decision[Any], writing: Writing) -> tuple[Any, list[Given]]:
    """What follows, and what it gives instead of the block."""
    match rule.then:
        case "retry":
            return decisions.Retry(policy=RetryPolicy() if rule.policy is None else rule.policy.policy), []
        case "handle":
            scope = draft.scope(_ATTEMPT, writing.at)
            failure = standing_for(Origin((SCOPE, node, "error"), Failure, shape.of(Failure, "given"), scope))
            with draft.inside(scope):
                inner, given = draft.block(f"{node}-handler-{number}", _ATTEMPT, writing, rule.instead, failure)
            return Handle(node=inner), [given]
        case "continue_with":
            plain, found = writing.known(rule.value, "continue_with")
            return decisions.ContinueWith(value=plain), [Given(plain, annotation_of(rule.value), found)]
        case "compensate":
            return decisions.Compensate(), []
        case "fallback" | "pause" | "fail":
            raise writing.refusal(
                f"{rule.then} is for the rules of a step: in flow.attempt write handle, continue_with, retry or "
                "compensate"
            )
