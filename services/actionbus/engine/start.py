"""A run is asked for: the one input that meets no run, unless it comes twice."""

from actionbus.contracts import identifiers, moments, payloads, searching
from actionbus.contracts.errors import IdentifierRefused, PayloadRefused
from actionbus.contracts.events import EntryKind
from actionbus.contracts.limiting import HIGHEST_PRIORITY
from actionbus.contracts.payloads import Json
from actionbus.contracts.requests import IfExists, RequestKind, WorkflowRequest
from actionbus.contracts.run import RunStatus, TimerKind, Turn, WorkflowRun
from actionbus.engine import failure, report, signal, turns, verdict
from actionbus.engine.definition import Definition
from actionbus.engine.draft import Draft, remembered
from actionbus.engine.inputs import StartRequested
from actionbus.engine.paths import ROOT
from actionbus.engine.template import sized
from actionbus.engine.transition import Transition


def replaces(run: WorkflowRun, request: WorkflowRequest) -> bool:
    """Whether a start makes a new run in the place of one that has ended."""
    return (
        request.kind is RequestKind.START
        and request.if_exists in (IfExists.REPLACE, IfExists.DEBOUNCE)
        and run.status.ended
        and not carried_out(run, request)
    )


def postpones(run: WorkflowRun, request: WorkflowRequest) -> bool:
    """Whether a start gives its input and its beginning to a run that has not begun."""
    return (
        request.kind is RequestKind.START
        and request.if_exists is IfExists.DEBOUNCE
        and request.workflow == run.workflow
        and run.unbegun
        and not carried_out(run, request)
    )


def chooses(run: WorkflowRun, request: WorkflowRequest) -> bool:
    """Whether a start brings its own definition, although there is a run of that id."""
    return replaces(run, request) or postpones(run, request)


def known(run: WorkflowRun) -> tuple[str, ...]:
    """The ids of requests that were carried out on a run; none is carried out again."""
    return (*run.requests, run.start_request_id)


def carried_out(run: WorkflowRun, request: WorkflowRequest) -> bool:
    """Whether this very request was carried out on a run."""
    return any(identifiers.same_request(each, request.request_id) for each in known(run))


def misused(run: WorkflowRun, request: WorkflowRequest) -> str | None:
    """Why a request is refused whose key was used on the run before, for something else."""
    ids = (*known(run), *(each.request_id for each in run.signals if each.request_id is not None))
    key = identifiers.request_key(request.request_id)
    mine = [each for each in ids if identifiers.request_key(each) == key]
    if not mine or any(identifiers.same_request(each, request.request_id) for each in mine):
        return None
    return f"the idempotency key {key} was used for another request: take a new key for what is new"


def second(run: WorkflowRun, request: WorkflowRequest, now: int) -> Transition:
    """The run is there already: a start that was carried out is answered as before, any other as it asks for."""
    if carried_out(run, request):
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
    try:
        data, attributes = _admitted(definition, request)
    except (IdentifierRefused, PayloadRefused) as refused:
        return verdict.rejected(request, before, str(refused), now)
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
        paces=turns.left(before, definition.name),
        parent=request.parent,
        priority=request.priority,
        trace=event.trace,
        created_at=now,
        updated_at=now,
    )
    draft = Draft(definition, run, now, seq)
    asking = request.parent and payloads.encode(request.parent.model_dump(mode="json"))
    draft.note(EntryKind.REQUEST_ACCEPTED, request_id=request.request_id, data=asking)
    if request.parent is not None and not request.parent.waits:
        draft.sent.append(report.of(run, now))
    _told(draft, EntryKind.RUN_STARTED, request, attributes)
    if request.kind is RequestKind.SIGNAL:
        try:
            signal.keep(draft, request)
        except PayloadRefused as refused:
            return verdict.rejected(request, before, str(refused), now)
    _set_out(draft, request)
    return draft


def postpone(
    definition: Definition, event: StartRequested, now: int, seq: int, *, before: WorkflowRun
) -> Draft | Transition:
    """A run that has not begun, with the input and the beginning of a later start; or the answer when that cannot be.

    Nothing of it has happened, so it may go on with another version of its definition.
    """
    request = event.request
    try:
        data, attributes = _admitted(definition, request)
    except (IdentifierRefused, PayloadRefused) as refused:
        return verdict.rejected(request, before, str(refused), now)
    run = before.replace(
        definition_version=definition.version,
        definition_hash=definition.hash,
        input=data,
        priority=request.priority,
    )
    draft = Draft(definition, run, now, seq)
    draft.timers = ()
    draft.accept(request)
    _told(draft, EntryKind.START_CHANGED, request, attributes)
    _set_out(draft, request)
    return draft


def time_came(draft: Draft) -> None:
    """The time at which the run was to begin has come: it begins, or waits for its turn."""
    if draft.turn is None:
        draft.enter(ROOT)
    else:
        turns.wait_to_begin(draft, draft.turn)


def turn_came(draft: Draft, turn: Turn) -> None:
    """The turn of the run has come. The time it may take counts from now."""
    draft.turn = turn.replace(taken_at=draft.now)
    draft.note(EntryKind.WAIT_ENDED, reason="its turn has come")
    if draft.definition.graph.run_timeout_ms is not None:
        draft.arm(TimerKind.RUN_TIMEOUT, draft.now + draft.definition.graph.run_timeout_ms)
    draft.enter(ROOT)


def _admitted(definition: Definition, request: WorkflowRequest) -> tuple[bytes, dict[str, Json]]:
    """The input of the run that a request asks for, complete, and by what the run can be found.

    Raises PayloadRefused or IdentifierRefused.
    """
    if request.due_at is not None and not moments.sayable(request.due_at):
        raise PayloadRefused(f"due_at is no time in epoch milliseconds: {request.due_at}")
    if abs(request.priority) > HIGHEST_PRIORITY:
        raise PayloadRefused(
            f"the priority is {request.priority}: it goes from -{HIGHEST_PRIORITY} to {HIGHEST_PRIORITY}"
        )
    identifiers.run_id(request.run_id)
    data = _input(request)
    try:
        given = payloads.decode(sized(data, definition.limits))
        value = definition.admit(request.run_id, given)
        if definition.graph.limit is not None:
            definition.graph.limit.key_of(value)
        attributes = searching.of_input(definition.graph.searchable, value)
        return data if value is given else sized(payloads.encode(value), definition.limits), attributes
    except PayloadRefused as refused:
        raise PayloadRefused(f"the input is refused: {refused}") from refused


def _told(draft: Draft, kind: EntryKind, request: WorkflowRequest, attributes: dict[str, Json]) -> None:
    reason = request.reason and failure.cut(request.reason, draft.definition.limits.error_message_bytes)
    draft.note(kind, data=draft.input, reason=reason)
    if attributes:
        draft.note(EntryKind.ATTRIBUTES_SET, data=payloads.encode(attributes))


def _set_out(draft: Draft, request: WorkflowRequest) -> None:
    """Let the run begin, or wait for its time; its input is kept where something reads it."""
    graph = draft.definition.graph
    begins = max(draft.now, request.due_at or draft.now)
    draft.turn = None if graph.limit is None else turns.of_step(graph.limit, draft.input or b"null")
    if not draft.definition.reads_input:
        draft.input = None
    if graph.run_timeout_ms is not None and draft.turn is None:
        draft.arm(TimerKind.RUN_TIMEOUT, begins + graph.run_timeout_ms)
    if begins > draft.now:
        draft.note(EntryKind.WAIT_BEGAN, data=payloads.encode({"until": begins}))
        draft.arm(TimerKind.WAKE, begins, ROOT)
    else:
        time_came(draft)


def _input(request: WorkflowRequest) -> bytes:
    given = request.start_input if request.kind is RequestKind.SIGNAL else request.payload
    return given if given is not None else b"null"
