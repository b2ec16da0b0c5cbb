"""A timer is due: each kind of timer in one line."""

from typing import assert_never

from actionbus.contracts.errors import InvariantBroken
from actionbus.contracts.events import EntryKind
from actionbus.contracts.results import ActionError
from actionbus.contracts.run import RunStatus, StepState, StepStatus, Timer, TimerKind
from actionbus.engine import compensate, end, fail, failure, start
from actionbus.engine.draft import Draft
from actionbus.engine.paths import ROOT
from actionbus.engine.shapes import step as steps
from actionbus.engine.transition import Outcome


def fire(draft: Draft, timer_id: int) -> Outcome:
    """Do what the timer was set for. One that is gone, or not due yet, is stale."""
    timer = next((each for each in draft.timers if each.id == timer_id), None)
    if timer is None or timer.due_at > draft.now or timer.kind is TimerKind.UNKNOWN:
        return Outcome.STALE
    if timer.kind is TimerKind.RETENTION:
        return Outcome.FORGOTTEN
    draft.timers = tuple(each for each in draft.timers if each is not timer)
    match timer.kind:
        case TimerKind.RETRY:
            _retry(draft, _step(draft, timer))
        case TimerKind.START_TO_CLOSE | TimerKind.SCHEDULE_TO_START | TimerKind.SCHEDULE_TO_CLOSE | TimerKind.HEARTBEAT:
            _took_too_long(draft, _step(draft, timer), timer.kind)
        case TimerKind.WAKE:
            _wake(draft, timer.step or "")
        case TimerKind.RUN_TIMEOUT:
            _run_took_too_long(draft)
        case _:
            assert_never(timer.kind)
    return Outcome.APPLIED


def _retry(draft: Draft, step: StepState) -> None:
    if step.status is StepStatus.COMPENSATING:
        compensate.again(draft, step)
    else:
        steps.again(draft, step)


def _wake(draft: Draft, path: str) -> None:
    if path == ROOT:
        draft.note(EntryKind.WAIT_ENDED, reason="the time has come to begin")
        start.time_came(draft)
        return
    place = draft.definition.place(path)
    if place is None:
        raise InvariantBroken(f"run {draft.run.run_id} has a timer for {path}, which its definition does not know")
    place.shape.woke(draft, place, path)


def _took_too_long(draft: Draft, step: StepState, kind: TimerKind) -> None:
    if step.status is StepStatus.COMPENSATING:
        compensate.broken(draft, step, failure.timed_out(kind, step.attempt))
    else:
        fail.timed_out(draft, step, kind)


def _run_took_too_long(draft: Draft) -> None:
    limit = draft.definition.graph.run_timeout_ms
    error = ActionError(type=failure.TIMEOUT, message=f"the run took longer than {limit} ms", retryable=False)
    draft.note(EntryKind.RUN_TIMED_OUT, reason=error.message)
    draft.decide("time_out", reason=error.message)
    end.head_for(draft, RunStatus.TIMED_OUT, error)


def _step(draft: Draft, timer: Timer) -> StepState:
    step = draft.steps.get(timer.step or "")
    if step is None:
        raise InvariantBroken(f"run {draft.run.run_id} has a timer for {timer.step}, which is not under way")
    return step
