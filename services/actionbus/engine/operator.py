"""An operator steps in: a step is tried again, is given its output by hand, or waits for another time."""

from typing import Final

from actionbus.contracts import moments, payloads
from actionbus.contracts.errors import PayloadRefused, Refused
from actionbus.contracts.events import EntryKind
from actionbus.contracts.requests import WorkflowRequest
from actionbus.contracts.run import UNDER_WAY, StepState, StepStatus, TimerKind
from actionbus.contracts.validation import Schema
from actionbus.engine import addressing, child, compensate, verdict
from actionbus.engine.draft import Draft
from actionbus.engine.shapes import step as steps
from actionbus.engine.shapes.person import PersonShape, reassigned
from actionbus.engine.template import fitting

_PERSON: Final = Schema({"type": ["string", "null"]})


def retry_step(draft: Draft, request: WorkflowRequest) -> str | None:
    """Try a step, or its undo, again at once; the reason when it does not wait for that."""
    step = _meant(draft, request)
    if isinstance(step, str):
        return step
    if step.queued:
        return f"the step {step.path} waits for its turn under the limit of {step.action}, and goes on when it comes"
    waits_to_undo = step.status is StepStatus.COMPENSATING and step.dispatch_seq == 0
    if step.stuck is None and step.status is not StepStatus.BACKING_OFF and not waits_to_undo:
        return f"the step {step.path} is {step.status}: it waits neither for an operator nor for its next attempt"
    if child.gives_up(step):
        return f"{step.path} waits for a run that undoes what it did: ask that one, or skip {step.path}"
    said = verdict.said(request, draft.definition.limits)
    draft.note(EntryKind.RETRY_REQUESTED, step=step.path, request_id=request.request_id, reason=said)
    try_again(draft, step)
    return None


def try_again(draft: Draft, step: StepState) -> None:
    """The next attempt of a step, or of its undo, at once."""
    draft.disarm(step.path, TimerKind.RETRY)
    draft.unhold(step.path)
    step = draft.unstick(step)
    if step.status is StepStatus.COMPENSATING:
        compensate.again(draft, step)
    elif step.attempt:
        steps.again(draft, step)
    else:  # its input could not be made, so it has neither an input nor an undo yet
        del draft.steps[step.path]
        draft.enter(step.path)


def skip_step(draft: Draft, request: WorkflowRequest) -> str | None:
    """Go on as if the step had given an output, or as if it were undone; the reason when that cannot be."""
    return _by_hand(draft, request, EntryKind.STEP_SKIPPED)


def complete_step(draft: Draft, request: WorkflowRequest) -> str | None:
    """The operator did what the step, or its undo, was to do; the reason when that cannot be."""
    return _by_hand(draft, request, EntryKind.STEP_COMPLETED)


def _by_hand(draft: Draft, request: WorkflowRequest, told: EntryKind) -> str | None:
    step = _meant(draft, request)
    if isinstance(step, str):
        return step
    said = verdict.said(request, draft.definition.limits)
    if step.status is StepStatus.COMPENSATING:
        compensate.close(draft, step, reason=said)
        return None
    if step.stuck is None and step.status not in UNDER_WAY:
        return f"the step {step.path} is {step.status}: it does not wait for an output"
    try:
        schema = draft.definition.output_of(step.action)
        value, output = fitting(request.payload, schema, draft.definition.limits)
    except PayloadRefused as refused:
        return f"the output does not fit the action {step.action}: {refused}"
    draft.disarm(step.path)
    draft.unhold(step.path)
    steps.keep_for_undo(draft, step.path, output, from_outside=step.deferred > 0)
    draft.tell(told, step, output, said)
    draft.unstick(step)
    draft.know(step.path, value)
    draft.finish(step.path, output)
    return None


def change_timer(draft: Draft, request: WorkflowRequest) -> str | None:
    """Let what waits at a path wait until another time; the reason when nothing waits there."""
    if request.due_at is None:
        return "due_at is missing: say until when to wait, in epoch milliseconds"
    if not moments.sayable(request.due_at):
        return f"due_at is no time in epoch milliseconds: {request.due_at}"
    waits = {
        timer.step: timer
        for timer in reversed(draft.timers)
        if timer.step is not None and timer.kind in (TimerKind.WAKE, TimerKind.RETRY)
    }
    try:
        path = None if request.step is None else addressing.path_of(draft.definition, request.step, waits)
    except Refused as refused:
        return str(refused)
    chosen = None if path is None else waits.get(path)
    place = None if path is None else draft.definition.place(path)
    if chosen is None or (place is not None and place.shape.yields):
        return f"nothing at {request.step!r} waits for a time"
    changed = chosen.replace(due_at=request.due_at)
    draft.timers = tuple(changed if timer is chosen else timer for timer in draft.timers)
    data = payloads.encode({"from": chosen.due_at, "to": request.due_at})
    draft.note(EntryKind.TIMER_CHANGED, step=path, data=data, reason=verdict.said(request, draft.definition.limits))
    return None


def assign_task(draft: Draft, request: WorkflowRequest) -> str | None:
    """Let somebody else do what a person was asked for; the reason when nobody is asked there."""
    asked = {path: scope for path, scope in draft.scopes.items() if _asks(draft, path)}
    try:
        scope = asked.get(addressing.path_of(draft.definition, request.step, asked))
    except Refused as refused:
        return str(refused)
    if scope is None:
        return f"nobody is asked for anything at {request.step!r}"
    try:
        value, data = fitting(request.payload, _PERSON, draft.definition.limits)
    except PayloadRefused as refused:
        return f"the assignee is a text, or null for anybody: {refused}"
    draft.scopes[scope.path] = reassigned(scope, value)
    said = verdict.said(request, draft.definition.limits)
    draft.note(EntryKind.TASK_ASSIGNED, step=scope.path, data=data, reason=said)
    return None


def _meant(draft: Draft, request: WorkflowRequest) -> StepState | str:
    """The step that a request is about, or why there is none."""
    live = [step.path for step in draft.steps.values() if step.status is not StepStatus.SUCCEEDED]
    try:
        step = draft.steps.get(addressing.path_of(draft.definition, request.step, live))
    except Refused as refused:
        return str(refused)
    return step or f"no step {request.step!r} is under way; those that are: {', '.join(live) or 'none'}"


def _asks(draft: Draft, path: str) -> bool:
    place = draft.definition.place(path)
    return place is not None and isinstance(place.shape, PersonShape)
