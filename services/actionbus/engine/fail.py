"""An attempt of a step failed: ask the step's rules, record the decision and carry it out."""

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from actionbus.contracts import identifiers, payloads
from actionbus.contracts.decisions import Compensate, ContinueWith, Fail, Fallback, Pause, Retry, Rule
from actionbus.contracts.definitions import Effect
from actionbus.contracts.events import EntryKind
from actionbus.contracts.identifiers import CommandId
from actionbus.contracts.nodes import Handle
from actionbus.contracts.results import ActionError, ActionResult
from actionbus.contracts.run import RunStatus, StepState, StepStatus, TimerKind
from actionbus.engine import end, failure
from actionbus.engine.decide import Failure, Verdict, conditions, decide
from actionbus.engine.draft import Draft
from actionbus.engine.shapes import step as steps
from actionbus.engine.transition import Outcome


def fail(draft: Draft, result: ActionResult, command: CommandId) -> Outcome:
    """A worker says that an attempt failed. Only the current attempt's failure counts, also when it was in doubt."""
    step = _current(draft, command)
    if step is None:
        return Outcome.STALE
    if step.status in (StepStatus.BACKING_OFF, StepStatus.QUEUED):
        return Outcome.REPEATED
    if step.status not in (StepStatus.SCHEDULED, StepStatus.UNKNOWN):
        return Outcome.STALE
    error = result.error or ActionError(type=failure.UNREADABLE, message="the worker gave no error")
    broken(draft, draft.unstick(step), error)
    return Outcome.APPLIED


def in_doubt(draft: Draft, result: ActionResult, command: CommandId) -> Outcome:
    """A worker says that nobody knows whether the current attempt had its effect."""
    step = _current(draft, command)
    if step is None:
        return Outcome.STALE
    if step.status is StepStatus.UNKNOWN:
        return Outcome.REPEATED
    if step.status is not StepStatus.SCHEDULED:
        return Outcome.STALE
    error = result.error or ActionError(type=failure.OUTCOME_UNKNOWN, message="the worker does not say why")
    broken(draft, step, error.replace(retryable=False), told=(EntryKind.STEP_IN_DOUBT,))
    return Outcome.APPLIED


def timed_out(draft: Draft, step: StepState, kind: TimerKind) -> None:
    """An attempt of a step took too long, fell silent or found no worker, or all attempts together took too long."""
    error = failure.timed_out(kind, step.attempt)
    began = kind in (TimerKind.START_TO_CLOSE, TimerKind.HEARTBEAT)
    doubt = (EntryKind.STEP_IN_DOUBT,) if began and steps.plan_of(draft, step.path).action.asks_once else ()
    told = (EntryKind.STEP_TIMED_OUT, *doubt)
    broken(draft, step, error, told=told, last=kind is TimerKind.SCHEDULE_TO_CLOSE)


def broken(
    draft: Draft,
    step: StepState,
    error: ActionError,
    *,
    told: tuple[EntryKind, ...] = (EntryKind.STEP_FAILED,),
    last: bool = False,
) -> None:
    """Let a step's rules decide about a failed attempt, and do what they say. ``last``: no time is left.

    About one in doubt only a rule decides that names it; else the step waits for an operator.
    """
    error = failure.bounded(error, draft.definition.limits)
    draft.disarm(step.path, TimerKind.START_TO_CLOSE, TimerKind.SCHEDULE_TO_START, TimerKind.HEARTBEAT)
    draft.unhold(step.path)
    for kind in told:
        draft.tell(kind, step, failure.as_bytes(error))
    key = draft.run.key(step)
    plan = steps.plan_of(draft, step.path)
    failed = Failure(
        error=error,
        attempt=step.attempt,
        command_id=identifiers.command_id(key, step.attempt),
        now=draft.now,
        since=step.first_scheduled_at or draft.now,
        close_at=draft.due_at(step.path, TimerKind.SCHEDULE_TO_CLOSE),
        last=last,
        once=plan.action.effect is Effect.AT_MOST_ONCE and not failure.never_began(error),
    )
    doubt = EntryKind.STEP_IN_DOUBT in told
    if doubt:
        failed = replace(failed, error=error.replace(type=failure.OUTCOME_UNKNOWN, retryable=False))
    verdict = decide(plan.rules, plan.retry, failed, holds=conditions(draft, step.path, plan.conditions, failed))
    if doubt and not _named(plan.rules, verdict):
        draft.disarm(step.path)
        reason = f"nobody knows whether attempt {step.attempt} had its effect: {error.message or error.type}"
        draft.stick(step.replace(status=StepStatus.UNKNOWN, error=error), reason)
        return
    draft.decide(
        verdict.then.kind,
        path=step.path,
        action=step.action,
        attempt=step.attempt,
        rule=verdict.rule,
        reason=verdict.reason,
    )
    _carry_out(draft, step.replace(error=error), error, verdict)


def _current(draft: Draft, command: CommandId) -> StepState | None:
    step = draft.steps.get(command.path)
    if step is None or step.attempt != command.attempt:
        return None
    return step


def _named(rules: Sequence[Rule], verdict: Verdict) -> bool:
    """Whether the rule that decided is one that names the doubt."""
    return verdict.number > 0 and rules[verdict.number - 1].error_type == failure.OUTCOME_UNKNOWN


def _carry_out(draft: Draft, step: StepState, error: ActionError, verdict: Verdict) -> None:
    if isinstance(verdict.then, Retry):
        if verdict.delay_ms == 0:
            steps.again(draft, step)
        else:
            draft.keep(step.replace(status=StepStatus.BACKING_OFF))
            draft.arm(TimerKind.RETRY, draft.now + verdict.delay_ms, step.path)
        return
    draft.disarm(step.path)
    draft.steps.pop(step.path, None)
    match verdict.then:
        case Fallback() | ContinueWith():
            draft.keep(step.replace(status=StepStatus.FAILED, resolution=payloads.encode({"rule": verdict.number})))
            draft.resolve(step.path)
        case Compensate() | Handle():
            draft.fail(step.path, error)
        case Pause():
            draft.stick(step.replace(status=StepStatus.FAILED), verdict.reason)
        case Fail():
            end.head_for(draft, RunStatus.FAILED, error, only=step.path)
        case _:
            assert_never(verdict.then)
