"""Somebody wants the run to stop and what it did to be undone."""

from actionbus.contracts.events import EntryKind
from actionbus.contracts.requests import WorkflowRequest
from actionbus.contracts.run import RunStatus
from actionbus.engine import end, failure, verdict
from actionbus.engine.draft import Draft
from actionbus.engine.transition import Outcome, Transition


def refusal(draft: Draft, request: WorkflowRequest) -> Transition | None:
    """The answer when there is nothing to cancel: the run has ended, or is on its way there."""
    run = draft.run
    if run.status.ended:
        event = verdict.rejected(request, run, f"the run has ended already: it is {run.status}", draft.now)
        return Transition(run=run, outcome=Outcome.REJECTED, event=event)
    if run.ending is not None:
        event = verdict.accepted_before(request, run, f"the run undoes what it did and will be {run.ending}", draft.now)
        return Transition(run=run, outcome=Outcome.REPEATED, event=event)
    return None


def cancel(draft: Draft, request: WorkflowRequest) -> None:
    """Record who asked, and head for the end."""
    reason = request.reason or "no reason was given"
    by = f"{request.requested_by}: {reason}" if request.requested_by else reason
    error = failure.bounded(failure.refused(failure.CANCELLED, by), draft.definition.limits)
    draft.note(EntryKind.REQUEST_ACCEPTED, request_id=request.request_id)
    draft.note(EntryKind.CANCEL_REQUESTED, request_id=request.request_id, reason=error.message)
    draft.decide("cancel", reason=error.message)
    end.head_for(draft, RunStatus.CANCELLED, error)
