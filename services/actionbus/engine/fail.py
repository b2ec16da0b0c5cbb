"""An attempt of a step failed: ask the step's rules, record the decision and carry it out."""

from typing import assert_never

from actionbus.contracts import identifiers, payloads
from actionbus.contracts.definitions import Compensate, ContinueWith, Fail, Fallback, Retry
from actionbus.contracts.events import EntryKind
from actionbus.contracts.identifiers import CommandId
from actionbus.contracts.results import ActionError, ActionResult
from actionbus.contracts.run import RunStatus, StepState, StepStatus, TimerKind
from actionbus.engine import compensate, end, failure
from actionbus.engine.decide import Failure, Verdict, decide
from actionbus.engine.draft import Draft
from actionbus.engine.resolve import resolve
from actionbus.engine.shapes import step as steps
from actionbus.engine.transition import Outcome


def fail(draft: Draft, result: ActionResult, command: CommandId) -> Outcome:
    """A worker says that an attempt failed. Only the current attempt's failure counts."""
    step = draft.steps.get(command.path)
    if step is None or step.attempt != command.attempt:
        return Outcome.STALE
    if step.status is StepStatus.BACKING_OFF:
        return Outcome.REPEATED
    if step.status is not StepStatus.SCHEDULED:
        return Outcome.STALE
    error = result.error or ActionError(type=failure.UNREADABLE, message="the worker gave no error")
    broken(draft, step, error)
    return Outcome.APPLIED


def timed_out(draft: Draft, step: StepState, *, all_attempts: bool) -> None:
    """An attempt of a step took too long, or all its attempts together."""
    what = "all attempts together" if all_attempts else f"attempt {step.attempt}"
    error = ActionError(type=failure.TIMEOUT, message=f"{what} took longer than allowed")
    broken(draft, step, error, told=EntryKind.STEP_TIMED_OUT, last=all_attempts)


def broken(
    draft: Draft, step: StepState, error: ActionError, *, told: EntryKind = EntryKind.STEP_FAILED, last: bool = False
) -> None:
    """Let a step's rules decide about a failed attempt, and do what they say. ``last``: no time is left."""
    error = failure.bounded(error, draft.definition.limits)
    draft.disarm(step.path, TimerKind.START_TO_CLOSE)
    draft.tell(told, step, failure.as_bytes(error))
    key = identifiers.step_key(draft.run.run_id, draft.run.incarnation, step.path)
    verdict = decide(
        steps.plan_of(draft, step.path),
        Failure(
            error=error,
            attempt=step.attempt,
            command_id=identifiers.command_id(key, step.attempt),
            now=draft.now,
            close_at=draft.due_at(step.path, TimerKind.SCHEDULE_TO_CLOSE),
            last=last,
        ),
    )
    draft.decide(verdict.then.kind, step=step, rule=verdict.rule, reason=verdict.reason)
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
        case Fallback() | ContinueWith() as then:
            undo = next((each for each in reversed(draft.compensations) if each.step == step.path), None)
            if undo is None:
                resolve(draft, step, then)
            else:
                compensate.begin(draft, undo, resolution=payloads.encode({"rule": verdict.number}), error=error)
        case Compensate():
            draft.fail(step.path, error)
        case Fail():
            end.head_for(draft, RunStatus.FAILED, error, only=step.path)
        case _:
            assert_never(verdict.then)
