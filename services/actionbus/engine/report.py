"""A run tells the one that started it how it stands. Whatever the other asked of it, it hears something, once."""

from typing import Final

from actionbus.contracts.requests import ChildReport, RequestKind, WorkflowRequest
from actionbus.contracts.results import ActionError
from actionbus.contracts.run import Parent, RunStatus, WorkflowRun
from actionbus.engine import failure

_ANSWERED: Final = (RequestKind.START, RequestKind.CANCEL)


def of(run: WorkflowRun, now: int) -> WorkflowRequest:
    """How a run that has a parent stands."""
    if run.parent is None:
        raise ValueError(f"run {run.run_id} was not started by another one")
    child = ChildReport(
        run_id=run.run_id, incarnation=run.incarnation, status=run.status, output=run.output, error=run.error
    )
    return _request(run.parent, child, now)


def of_refusal(request: WorkflowRequest, reason: str, now: int) -> tuple[WorkflowRequest, ...]:
    """What a run hears whose request was refused: nothing if nobody waits for it."""
    if request.parent is None or request.kind not in _ANSWERED:
        return ()
    error = ActionError(type=failure.CHILD_REFUSED, message=f"run {request.run_id}: {reason}", retryable=False)
    child = ChildReport(run_id=request.run_id, incarnation="", status=RunStatus.UNKNOWN, error=error)
    return (_request(request.parent, child, now),)


def _request(parent: Parent, child: ChildReport, now: int) -> WorkflowRequest:
    return WorkflowRequest(
        request_id=f"{child.run_id}:{child.incarnation}/{child.status}",
        run_id=parent.run_id,
        kind=RequestKind.CHILD_REPORT,
        parent=parent,
        child=child,
        requested_by=f"the run {child.run_id}",
        requested_at=now,
    )
