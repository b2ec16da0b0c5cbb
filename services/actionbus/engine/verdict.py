"""The answer to a request that changes no run: an event of version 0, for whoever waits for it."""

from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.contracts.limits import Limits
from actionbus.contracts.requests import WorkflowRequest
from actionbus.contracts.run import RunStatus, WorkflowRun
from actionbus.engine import failure, report
from actionbus.engine.transition import Outcome, Transition


def rejected(request: WorkflowRequest, run: WorkflowRun | None, reason: str, now: int) -> Transition:
    """The request was refused, and nothing changes; a run that asked hears so. ``run``: the one of that id, if any."""
    event = _verdict(EntryKind.REQUEST_REJECTED, request, run, reason, now)
    return Transition(run=run, outcome=Outcome.REJECTED, event=event, requests=report.of_refusal(request, reason, now))


def accepted_before(request: WorkflowRequest, run: WorkflowRun, reason: str, now: int) -> Transition:
    """The request had been carried out before it was asked again; nothing changes."""
    event = _verdict(EntryKind.REQUEST_ACCEPTED, request, run, reason, now)
    return Transition(run=run, outcome=Outcome.REPEATED, event=event)


def said(request: WorkflowRequest, limits: Limits) -> str:
    """Who asks, and why, in words, cut to what is kept of words."""
    reason = request.reason or "no reason was given"
    return failure.cut(
        f"{request.requested_by}: {reason}" if request.requested_by else reason, limits.error_message_bytes
    )


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
