"""A run that this one started tells how it stands."""

from actionbus.contracts.requests import ChildReport
from actionbus.contracts.run import Parent, RunStatus, StepState, StepStatus, WorkflowRun
from actionbus.engine import compensate
from actionbus.engine.definition import Place
from actionbus.engine.draft import Draft
from actionbus.engine.shapes.child import ChildShape, child_of, tell_end, undo_left
from actionbus.engine.shapes.schedule import ScheduleShape
from actionbus.engine.transition import Outcome


def reported(draft: Draft, parent: Parent, report: ChildReport) -> Outcome:
    """Go on with what waits for it: the node itself, or the undoing of what is around it."""
    if (parent.run_id, parent.incarnation) != (draft.run.run_id, draft.run.incarnation):
        return Outcome.STALE
    place = draft.definition.place(parent.path)
    if place is not None and isinstance(place.shape, ScheduleShape):
        heard = parent.path in draft.scopes and place.shape.heard(draft, parent.path, report)
        return Outcome.APPLIED if heard else Outcome.STALE
    if place is not None and isinstance(place.shape, ChildShape):
        return _of_child(draft, place, place.shape, parent, report)
    return Outcome.STALE


def _of_child(draft: Draft, place: Place, shape: ChildShape, parent: Parent, report: ChildReport) -> Outcome:
    scope = draft.scopes.get(parent.path)
    if scope is not None and child_of(scope.data) == report.run_id:
        if place.node.wait and report.status is RunStatus.RUNNING:
            return Outcome.STALE
        shape.reported(draft, place, parent.path, report)
        return Outcome.APPLIED
    step = draft.steps.get(parent.path)
    if step is None or not gives_up(step) or child_of(step.input) != report.run_id:
        return Outcome.STALE
    tell_end(draft, step.path, report)
    undo = undo_left(step.input, step.path, place.node) if report.status is RunStatus.COMPLETED else None
    if undo is None:
        compensate.close(draft, step)
    else:  # it had completed before it could be cancelled
        draft.compensations = (*draft.compensations, undo.replace(output=report.output))
        compensate.begin(draft, draft.compensations[-1], resolution=step.resolution)
    return Outcome.APPLIED


def started_by(run: WorkflowRun, parent: Parent) -> bool:
    """Whether it is that node which started a run, and may ask something of it."""
    own = run.parent
    asking = (parent.run_id, parent.incarnation, parent.path)
    return own is not None and (own.run_id, own.incarnation, own.path) == asking


def gives_up(step: StepState) -> bool:
    """Whether a step stands for another run that has to end before the undoing goes on."""
    return step.status is StepStatus.COMPENSATING and not step.action
