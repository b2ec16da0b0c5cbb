"""Somebody wants the run to stop and what it did to be undone."""

from actionbus.contracts.events import EntryKind
from actionbus.contracts.requests import WorkflowRequest
from actionbus.contracts.run import RunStatus
from actionbus.engine import end, failure, pause, verdict
from actionbus.engine.draft import Draft


def cancel(draft: Draft, request: WorkflowRequest) -> None:
    """Record who asked, and head for the end; a paused run goes on with that. Heading there already, it goes on so."""
    error = failure.refused(failure.CANCELLED, verdict.said(request, draft.definition.limits))
    draft.note(EntryKind.CANCEL_REQUESTED, request_id=request.request_id, reason=error.message)
    pause.go_on(draft)
    if draft.ending is None:
        draft.decide("cancel", reason=error.message)
        end.head_for(draft, RunStatus.CANCELLED, error)
