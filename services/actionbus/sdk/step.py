"""Steps: one use of an action, with what takes it back and what follows its failures."""

from collections.abc import Callable, Sequence
from typing import Any, Final, assert_never

from actionbus.contracts import decisions
from actionbus.contracts.decisions import RetryPolicy
from actionbus.contracts.nodes import StepNode
from actionbus.contracts.payloads import Json
from actionbus.contracts.templates import ERROR, MADE
from actionbus.sdk import fitting, shape
from actionbus.sdk.action import Action
from actionbus.sdk.call import Call
from actionbus.sdk.draft import Draft
from actionbus.sdk.reference import Origin, standing_for
from actionbus.sdk.retry import Retry
from actionbus.sdk.rule import GIVEN, Decision, Failure
from actionbus.sdk.scope import Scope
from actionbus.sdk.template import Writing

_UNDO: Final = "it belongs to another step's undo"
_FALLBACK: Final = "it belongs to another step's fallback"


def run(
    draft: Draft,
    call: Any,
    name: str | None,
    *,
    undo: Callable[[Any], Any] | None,
    on_failure: Sequence[Decision[Any]],
    retry: Retry | None,
    pivot: bool,
    **limits: Any,
) -> Any:
    """Write a step down; ``limits`` are those of ``flow.run``, by their names there."""
    writing = draft.writing()
    if not isinstance(call, Call):
        raise writing.refusal(f"flow.run takes a call of an action, as in flow.run(create_user(...)), not {call!r}")
    action: Action[..., Any] = call.action
    step = draft.claim(name, action.id, writing, f'flow.run({action.id}(...), id="...")')
    draft.add(
        StepNode,
        writing,
        id=step,
        call=_call(draft, call, writing),
        undo=None if undo is None else _undo(draft, step, action, undo, writing),
        retry=None if retry is None else retry.policy,
        rules=tuple(_rule(draft, each, action) for each in on_failure),
        start_to_close_ms=writing.limit(limits["timeout"], "timeout"),
        schedule_to_start_ms=writing.limit(limits["schedule_to_start"], "schedule_to_start"),
        schedule_to_close_ms=writing.limit(limits["schedule_to_close"], "schedule_to_close"),
        heartbeat_ms=writing.silence(limits["heartbeat"]),
        pivot=pivot,
    )
    returns = action.signature.returns
    return draft.result(step, returns, shape.of(returns, "given"))


def condition(rule: Decision[Any], writing: Writing) -> Json:
    """The template of a rule's condition; null when it has none."""
    found = rule.matches.condition
    return None if found is None else Writing(found.place, writing.scopes).expression(found, GIVEN)


def _call(draft: Draft, call: Call[Any], writing: Writing) -> decisions.Call:
    action = call.action
    other = draft.actions.setdefault(action.id, action)
    if other is not action:
        raise writing.refusal(f"two actions have the id {action.id}: {other.declared_at} and {action.declared_at}")
    return decisions.Call(action=action.id, input=writing.call(call.take()))


def _undo(
    draft: Draft, step: str, action: Action[..., Any], undo: Callable[[Any], Any], writing: Writing
) -> decisions.Call:
    call = undo_of(draft, step, action.signature.returns, undo, writing, unseen=action.store is None)
    undoing = draft.actions[call.action]
    if action.store is not None and undoing.store != action.store:
        raise writing.refusal(
            f"{undoing.id} cannot undo {action.id}: the step commits in the store {action.store}, so its undo "
            f'must be transactional in the same store: declare {undoing.id} with effect="transactional", '
            f'store="{action.store}"'
        )
    return call


def undo_of(
    draft: Draft, step: str, returns: Any, undo: Callable[[Any], Any], writing: Writing, *, unseen: bool = False
) -> decisions.Call:
    """The call that an undo writes, from what its step made; ``unseen``: nobody may ever have seen that."""
    if isinstance(undo, Call):
        raise writing.refusal(f"undo of {step} is a call already: write undo=lambda made: {undo.action.id}(...)")
    scope = Scope(_UNDO)
    made = Origin((MADE,), returns, shape.of(returns, "given"), scope, unseen=unseen)
    try:
        call = undo(standing_for(made))
    except NameError as error:
        raise writing.refusal(
            f"undo of {step}: {error}: an undo is written before its step has a name, so read what the step made "
            "from its parameter, as in undo=lambda made: delete(id=made.id)"
        ) from error
    if not isinstance(call, Call):
        raise writing.refusal(
            f"undo of {step} gives {call!r}: it must give a call, as in undo=lambda made: delete(id=made.id)"
        )
    return _call(draft, call, draft.writing(call.place, scope))


def _rule(draft: Draft, rule: Decision[Any], action: Action[..., Any]) -> decisions.Rule:
    writing = draft.writing(rule.place)
    if not rule.undo:
        raise writing.refusal("undo=False is for the rules of flow.attempt: a failed step is always undone")
    return decisions.Rule(
        error_type=rule.matches.error_type,
        when=condition(rule, writing),
        then=_resolution(draft, rule, action, writing),
    )


def _resolution(draft: Draft, rule: Decision[Any], action: Action[..., Any], writing: Writing) -> decisions.Resolution:
    match rule.then:
        case "retry":
            return decisions.Retry(policy=RetryPolicy() if rule.policy is None else rule.policy.policy)
        case "fallback":
            return _fallback(draft, rule.instead, action, writing)
        case "continue_with":
            value = writing.constant(rule.value, action.signature.returns, "continue_with")
            return decisions.ContinueWith(value=value)
        case "compensate":
            return decisions.Compensate()
        case "pause":
            return decisions.Pause()
        case "fail":
            return decisions.Fail()
        case "handle":
            raise writing.refusal("handle is for the rules of flow.attempt: beside a step write fallback(call)")
        case _ as never:
            assert_never(never)


def _fallback(draft: Draft, call: Any, action: Action[..., Any], writing: Writing) -> decisions.Fallback:
    scope = Scope(_FALLBACK)
    if callable(call):
        call = call(standing_for(Origin((ERROR,), Failure, shape.of(Failure, "given"), scope)))
    if not isinstance(call, Call):
        raise writing.refusal(f"the fallback of {action.id} is {call!r}: it must be a call of an action")
    given = shape.of(call.action.signature.returns, "given")
    wrong = fitting.mismatch(given, shape.of(action.signature.returns, "given"))
    if wrong is not None:
        raise writing.refusal(f"{call.action.id} cannot stand in for {action.id}: {wrong}")
    return decisions.Fallback(call=_call(draft, call, draft.writing(call.place, scope)))
