"""Somebody wants the run to stop at once, whatever it leaves behind."""

from actionbus.contracts.events import EntryKind
from actionbus.contracts.requests import WorkflowRequest
from actionbus.contracts.run import RunStatus
from actionbus.engine import end, failure, verdict
from actionbus.engine.draft import Draft


def terminate(draft: Draft, request: WorkflowRequest) -> None:
    """End the run; nothing is undone, also what was being undone."""
    error = failure.refused(failure.TERMINATED, verdict.said(request, draft.definition.limits))
    draft.note(EntryKind.TERMINATE_REQUESTED, request_id=request.request_id, reason=error.message)
    draft.decide("terminate", reason=error.message)
    end.at_once(draft, RunStatus.TERMINATED, error)
