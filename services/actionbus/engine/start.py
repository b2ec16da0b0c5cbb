"""A run is asked for: the one input that meets no run, unless it comes twice."""

from actionbus.contracts import identifiers, payloads
from actionbus.contracts.errors import IdentifierRefused, PayloadRefused
from actionbus.contracts.events import EntryKind
from actionbus.contracts.requests import WorkflowRequest
from actionbus.contracts.run import RunStatus, TimerKind, WorkflowRun
from actionbus.engine import failure, verdict
from actionbus.engine.definition import ROOT, Definition
from actionbus.engine.draft import Draft
from actionbus.engine.inputs import StartRequested
from actionbus.engine.template import sized
from actionbus.engine.transition import Outcome, Transition


def second(run: WorkflowRun, request: WorkflowRequest, now: int) -> Transition:
    """The run is there already: the same request is answered as the first time, any other is refused."""
    if request.request_id == run.start_request_id:
        event = verdict.accepted_before(request, run, "this request started the run", now)
        return Transition(run=run, outcome=Outcome.REPEATED, event=event)
    event = verdict.rejected(request, run, f"the run id is taken: that run is {run.status}", now)
    return Transition(run=run, outcome=Outcome.REJECTED, event=event)


def refusal(definition: Definition, request: WorkflowRequest, now: int) -> Transition | None:
    """The answer to a request that cannot be a run: its id, or an input that does not fit."""
    try:
        identifiers.run_id(request.run_id)
        definition.input_schema.check(payloads.decode(sized(_input(request), definition.limits)))
    except IdentifierRefused as refused:
        reason = str(refused)
    except PayloadRefused as refused:
        reason = f"the input is refused: {refused}"
    else:
        return None
    return Transition(run=None, outcome=Outcome.REJECTED, event=verdict.rejected(request, None, reason, now))


def begin(definition: Definition, event: StartRequested, now: int, seq: int) -> Draft:
    """A run that is about to enter its first node."""
    request = event.request
    data = _input(request)
    run = WorkflowRun(
        run_id=request.run_id,
        incarnation=event.incarnation,
        workflow=definition.name,
        definition_version=definition.version,
        definition_hash=definition.hash,
        status=RunStatus.RUNNING,
        version=0,
        txn_seq=seq,
        start_request_id=request.request_id,
        input=data,
        trace=event.trace,
        created_at=now,
        updated_at=now,
    )
    draft = Draft(definition, run, now, seq)
    if not definition.reads_input:
        draft.input = None
    draft.note(EntryKind.REQUEST_ACCEPTED, request_id=request.request_id)
    reason = request.reason and failure.cut(request.reason, definition.limits.error_message_bytes)
    draft.note(EntryKind.RUN_STARTED, data=data, reason=reason)
    if definition.graph.run_timeout_ms is not None:
        draft.arm(TimerKind.RUN_TIMEOUT, now + definition.graph.run_timeout_ms)
    draft.enter(ROOT)
    return draft


def _input(request: WorkflowRequest) -> bytes:
    return request.payload if request.payload is not None else b"null"
