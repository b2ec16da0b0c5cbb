"""Somebody wants the run to schedule nothing new for a while, and to go on later.

What is out goes on and is taken in; timers run. What would follow is held, and follows when the run is resumed.
"""

from typing import assert_never

from actionbus.contracts.errors import InvariantBroken
from actionbus.contracts.events import EntryKind
from actionbus.contracts.requests import WorkflowRequest
from actionbus.contracts.run import Held, HeldKind, RunStatus, StepStatus
from actionbus.engine import compensate, operator, verdict
from actionbus.engine.draft import Draft
from actionbus.engine.shapes import step as steps


def pause(draft: Draft, request: WorkflowRequest) -> str | None:
    """Hold what follows; the reason when it is held already."""
    if draft.paused:
        return "the run is paused already"
    draft.status = RunStatus.PAUSED
    draft.note(
        EntryKind.RUN_PAUSED, request_id=request.request_id, reason=verdict.said(request, draft.definition.limits)
    )
    return None


def resume(draft: Draft, request: WorkflowRequest) -> str | None:
    """Let everything go on that is held, and try again what waits for an operator; the reason when nothing is.

    A step whose effect nobody knows is not tried again by the way: that is asked for by its name.
    """
    waits = [step for step in draft.steps.values() if step.stuck is not None]
    stuck = [step for step in waits if step.status is not StepStatus.UNKNOWN]
    if not draft.paused and waits and not stuck:
        return f"nobody knows whether {waits[0].path} had its effect: look, then complete, skip or retry that step"
    if not draft.paused and not stuck:
        return "the run is not paused, and nothing in it waits for an operator"
    draft.note(
        EntryKind.RUN_RESUMED, request_id=request.request_id, reason=verdict.said(request, draft.definition.limits)
    )
    go_on(draft)
    for step in stuck:
        operator.try_again(draft, step)
    return None


def go_on(draft: Draft) -> None:
    """End the pause, if there is one."""
    if not draft.paused:
        return
    draft.status = RunStatus.RUNNING if draft.ending is None else RunStatus.COMPENSATING
    held, draft.held = draft.held, ()
    for each in held:
        _release(draft, each)


def _release(draft: Draft, held: Held) -> None:
    match held.kind:
        case HeldKind.ENTER:
            draft.enter(held.path)
        case HeldKind.AGAIN:
            step = draft.steps[held.path]
            (compensate.again if step.status is StepStatus.COMPENSATING else steps.again)(draft, step)
        case HeldKind.RESOLVE:
            draft.resolve(held.path)
        case HeldKind.UNWIND:
            draft.unwind(held.path, held.below)
        case HeldKind.UNKNOWN:
            raise InvariantBroken(f"run {draft.run.run_id} holds something that this version does not know")
        case _:
            assert_never(held.kind)
