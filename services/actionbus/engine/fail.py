"""An attempt of a step failed: ask the step's rules, record the decision and carry it out."""

from typing import assert_never

from actionbus.contracts import identifiers, payloads
from actionbus.contracts.decisions import Compensate, ContinueWith, Fail, Fallback, Pause, Retry
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
    """A worker says that an attempt failed. Only the current attempt's failure counts."""
    step = draft.steps.get(command.path)
    if step is None or step.attempt != command.attempt:
        return Outcome.STALE
    if step.status in (StepStatus.BACKING_OFF, StepStatus.QUEUED):
        return Outcome.REPEATED
    if step.status is not StepStatus.SCHEDULED:
        return Outcome.STALE
    error = result.error or ActionError(type=failure.UNREADABLE, message="the worker gave no error")
    broken(draft, step, error)
    return Outcome.APPLIED


def timed_out(draft: Draft, step: StepState, kind: TimerKind) -> None:
    """An attempt of a step took too long, fell silent or found no worker, or all attempts together took too long."""
    error = failure.timed_out(kind, step.attempt)
    broken(draft, step, error, told=EntryKind.STEP_TIMED_OUT, last=kind is TimerKind.SCHEDULE_TO_CLOSE)


def broken(
    draft: Draft, step: StepState, error: ActionError, *, told: EntryKind = EntryKind.STEP_FAILED, last: bool = False
) -> None:
    """Let a step's rules decide about a failed attempt, and do what they say. ``last``: no time is left."""
    error = failure.bounded(error, draft.definition.limits)
    draft.disarm(step.path, TimerKind.START_TO_CLOSE, TimerKind.SCHEDULE_TO_START, TimerKind.HEARTBEAT)
    draft.unhold(step.path)
    draft.tell(told, step, failure.as_bytes(error))
    key = identifiers.step_key(draft.run.run_id, draft.run.incarnation, step.path)
    plan = steps.plan_of(draft, step.path)
    failed = Failure(
        error=error,
        attempt=step.attempt,
        command_id=identifiers.command_id(key, step.attempt),
        now=draft.now,
        since=step.first_scheduled_at or draft.now,
        close_at=draft.due_at(step.path, TimerKind.SCHEDULE_TO_CLOSE),
        last=last,
        once=plan.action.effect is Effect.AT_MOST_ONCE,
    )
    verdict = decide(plan.rules, plan.retry, failed, holds=conditions(draft, step.path, plan.conditions, failed))
    draft.decide(
        verdict.then.kind,
        path=step.path,
        action=step.action,
        attempt=step.attempt,
        rule=verdict.rule,
        reason=verdict.reason,
    )
    _carry_out(draft, step.replace(error=error), error, verdict)


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
