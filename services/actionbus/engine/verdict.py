"""The answer to a request that changes no run: an event of version 0, for whoever waits for it."""

from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.contracts.requests import WorkflowRequest
from actionbus.contracts.run import RunStatus, WorkflowRun


def rejected(request: WorkflowRequest, run: WorkflowRun | None, reason: str, now: int) -> WorkflowEvent:
    """The request was refused. ``run``: the run of that id, if there is one."""
    return _verdict(EntryKind.REQUEST_REJECTED, request, run, reason, now)


def accepted_before(request: WorkflowRequest, run: WorkflowRun, reason: str, now: int) -> WorkflowEvent:
    """The request had been carried out before it was asked again."""
    return _verdict(EntryKind.REQUEST_ACCEPTED, request, run, reason, now)


def _verdict(
    kind: EntryKind, request: WorkflowRequest, run: WorkflowRun | None, reason: str, now: int
) -> WorkflowEvent:
    return WorkflowEvent(
        run_id=request.run_id,
        incarnation=run.incarnation if run else "",
        workflow=run.workflow if run else request.workflow or "",
        definition_version=run.definition_version if run else request.version or "",
        version=0,
        status=run.status if run else RunStatus.UNKNOWN,
        at=now,
        entries=(EventEntry(kind=kind, request_id=request.request_id, reason=reason),),
    )
