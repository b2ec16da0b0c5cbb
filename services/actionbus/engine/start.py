"""A run is asked for: the one input that meets no run, unless it comes twice."""

from actionbus.contracts import identifiers, payloads
from actionbus.contracts.errors import IdentifierRefused, PayloadRefused
from actionbus.contracts.events import EntryKind
from actionbus.contracts.requests import IfExists, RequestKind, WorkflowRequest
from actionbus.contracts.run import RunStatus, TimerKind, WorkflowRun
from actionbus.engine import failure, report, signal, verdict
from actionbus.engine.definition import Definition
from actionbus.engine.draft import Draft, remembered
from actionbus.engine.inputs import StartRequested
from actionbus.engine.paths import ROOT
from actionbus.engine.shapes.sleep import sayable
from actionbus.engine.template import sized
from actionbus.engine.transition import Transition


def replaces(run: WorkflowRun, request: WorkflowRequest) -> bool:
    """Whether a start makes a new run in the place of one that has ended."""
    return (
        request.kind is RequestKind.START
        and request.if_exists is IfExists.REPLACE
        and run.status.ended
        and request.request_id not in known(run)
    )


def known(run: WorkflowRun) -> tuple[str, ...]:
    """The ids of requests that were carried out on a run; none is carried out again."""
    return (*run.requests, run.start_request_id)


def second(run: WorkflowRun, request: WorkflowRequest, now: int) -> Transition:
    """The run is there already: a start that was carried out is answered as before, any other as it asks for."""
    if request.request_id in known(run):
        return verdict.accepted_before(request, run, "this request started the run", now)
    if request.if_exists is IfExists.RETURN:
        return verdict.accepted_before(request, run, f"there is a run of that id: it is {run.status}", now)
    return verdict.rejected(request, run, f"the run id is taken: that run is {run.status}", now)


def begin(
    definition: Definition, event: StartRequested, now: int, seq: int, *, before: WorkflowRun | None = None
) -> Draft | Transition:
    """A run that is about to enter its first node, or the answer to a request that cannot be one.

    ``before``: the ended run whose place it takes. The requests that were carried out on it stay known, so that one of
    them that comes again does not begin a third.
    """
    request = event.request
    data = _input(request)
    if request.due_at is not None and not sayable(request.due_at):
        return verdict.rejected(request, before, f"due_at is no time in epoch milliseconds: {request.due_at}", now)
    try:
        identifiers.run_id(request.run_id)
        definition.input_schema.check(payloads.decode(sized(data, definition.limits)))
    except IdentifierRefused as refused:
        return verdict.rejected(request, before, str(refused), now)
    except PayloadRefused as refused:
        return verdict.rejected(request, before, f"the input is refused: {refused}", now)
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
        requests=() if before is None else remembered(known(before), definition.limits),
        parent=request.parent,
        trace=event.trace,
        created_at=now,
        updated_at=now,
    )
    draft = Draft(definition, run, now, seq)
    if not definition.reads_input:
        draft.input = None
    draft.note(EntryKind.REQUEST_ACCEPTED, request_id=request.request_id)
    if request.parent is not None and not request.parent.waits:
        draft.sent.append(report.of(run, now))
    reason = request.reason and failure.cut(request.reason, definition.limits.error_message_bytes)
    draft.note(EntryKind.RUN_STARTED, data=data, reason=reason)
    if request.kind is RequestKind.SIGNAL:
        try:
            signal.keep(draft, request)
        except PayloadRefused as refused:
            return verdict.rejected(request, before, str(refused), now)
    begins = max(now, request.due_at or now)
    if definition.graph.run_timeout_ms is not None:
        draft.arm(TimerKind.RUN_TIMEOUT, begins + definition.graph.run_timeout_ms)
    if begins > now:
        draft.note(EntryKind.WAIT_BEGAN, data=payloads.encode({"until": begins}))
        draft.arm(TimerKind.WAKE, begins, ROOT)
    else:
        draft.enter(ROOT)
    return draft


def _input(request: WorkflowRequest) -> bytes:
    given = request.start_input if request.kind is RequestKind.SIGNAL else request.payload
    return given if given is not None else b"null"
