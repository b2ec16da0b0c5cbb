"""What an event says of the input that it came of: a request, the word of a worker, the report of another run.

A timer that was due and a turn that came are told by nothing but what followed; those are looked for in ``rebuild``.
"""

from collections.abc import Mapping
from typing import Final

from actionbus.contracts import identifiers, payloads
from actionbus.contracts.errors import Refused
from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.contracts.payloads import Json
from actionbus.contracts.requests import ChildReport, IfExists, RequestKind, WorkflowRequest
from actionbus.contracts.results import ActionError, ActionResult, Emit, ResultKind
from actionbus.contracts.run import Parent, StepStatus, WorkflowRun
from actionbus.engine import history
from actionbus.engine.complete import FROM_OUTSIDE
from actionbus.engine.definition import Definition
from actionbus.engine.inputs import ChildReported, Input, RequestMade, ResultReceived, StartRequested

_ASKED: Final = {
    EntryKind.SIGNAL_RECEIVED: RequestKind.SIGNAL,
    EntryKind.TASK_ASSIGNED: RequestKind.ASSIGN_TASK,
    EntryKind.CANCEL_REQUESTED: RequestKind.CANCEL,
    EntryKind.TERMINATE_REQUESTED: RequestKind.TERMINATE,
    EntryKind.RUN_PAUSED: RequestKind.PAUSE,
    EntryKind.RUN_RESUMED: RequestKind.RESUME,
    EntryKind.RETRY_REQUESTED: RequestKind.RETRY_STEP,
    EntryKind.RUN_REWOUND: RequestKind.REWIND,
    EntryKind.STEP_SKIPPED: RequestKind.SKIP_STEP,
    EntryKind.STEP_COMPLETED: RequestKind.COMPLETE_STEP,
    EntryKind.STEP_COMPENSATED: RequestKind.COMPLETE_STEP,  # an undo by hand; what it gave is not read
    EntryKind.TIMER_CHANGED: RequestKind.CHANGE_TIMER,
    EntryKind.RUN_MIGRATED: RequestKind.MIGRATE,
}
_ANSWERED: Final = {
    EntryKind.STEP_SUCCEEDED: ResultKind.SUCCEEDED,
    EntryKind.STEP_FAILED: ResultKind.FAILED,
    EntryKind.STEP_DEFERRED: ResultKind.DEFERRED,
    EntryKind.STEP_IN_DOUBT: ResultKind.IN_DOUBT,
    EntryKind.RESULTS_DIFFER: ResultKind.SUCCEEDED,
    EntryKind.STEP_COMPENSATED: ResultKind.SUCCEEDED,
    # An undo that took too long is answered as one that failed with that error: nothing that follows differs.
    EntryKind.COMPENSATION_FAILED: ResultKind.FAILED,
}

Others = Mapping[str, Definition]
"""The deployed definitions of a workflow, by version."""


def cause(event: WorkflowEvent, run: WorkflowRun | None, others: Others) -> Input | None:
    """The input that an event came of; None when it tells none. ``run``: as it was before.

    Raises Refused when it tells one that this version does not know, or the run went over to what is not deployed.
    """
    first, told = event.entries[0], telling(event)
    if first.kind is EntryKind.REQUEST_ACCEPTED and first.step is None:  # else it is the verdict on an earlier signal
        return _request(event, run, others)
    match told.kind:
        case EntryKind.SIGNAL_RECEIVED:  # whose verdict is still to come
            return _asked(event, told, RequestKind.SIGNAL, told.request_id)
        case EntryKind.CHILD_ENDED:
            return _report(event, told)
        case _:
            return _answer(event, told, run)


def telling(event: WorkflowEvent) -> EventEntry:
    """The entry that says what an event is about: before it may stand that an incident is over."""
    return next((each for each in event.entries if each.kind is not EntryKind.INCIDENT_CLOSED), event.entries[0])


def result(
    event: WorkflowEvent, told: EventEntry, kind: ResultKind, run: WorkflowRun | None, *, undo: bool = False
) -> ResultReceived:
    """The word of a worker about the attempt that an entry is about; ``run``: as it was before."""
    step = None if run is None else next((each for each in run.steps if each.path == told.step), None)
    own = event.incarnation if step is None or not step.incarnation else step.incarnation
    key = identifiers.step_key(event.run_id, own, told.step or "")
    command = identifiers.command_id(key, told.attempt or 1, undo=undo)
    topics = [
        payloads.decode(each.data or b"{}")["topic"]
        for each in event.entries
        if each.kind is EntryKind.RECORD_EMITTED and each.step == told.step
    ]
    made = ActionResult(
        command_id=command,
        step_key=key,
        run_id=event.run_id,
        kind=kind,
        nonce=history.nonce(command),
        output=told.data if kind is ResultKind.SUCCEEDED else None,
        emits=tuple(Emit(topic=topic) for topic in topics),
        error=_error(payloads.decode(told.data or b"{}")) if kind in (ResultKind.FAILED, ResultKind.IN_DOUBT) else None,
        by_token=told.reason == FROM_OUTSIDE,
    )
    return ResultReceived(result=made, command=identifiers.parse_command_id(command))


def _request(event: WorkflowEvent, run: WorkflowRun | None, others: Others) -> StartRequested | RequestMade:
    accepted, *rest = event.entries
    told = rest[0]
    if told.kind in (EntryKind.RUN_STARTED, EntryKind.START_CHANGED):
        known = run is None or run.definition_version == event.definition_version
        return StartRequested(
            request=_start(event, accepted, told),
            incarnation=event.incarnation,
            target=None if known else _deployed(event, event.definition_version, others),
        )
    kind = _ASKED.get(told.kind)
    if kind is None:
        raise Refused(f"the event of version {event.version} of run {event.run_id} answers a request by {told.kind}")
    if kind is RequestKind.MIGRATE:
        return _migration(event, accepted, told, others)
    return _asked(event, told, kind, accepted.request_id)


def _asked(event: WorkflowEvent, told: EventEntry, kind: RequestKind, request_id: str | None) -> RequestMade:
    said = payloads.decode(told.data or b"null")
    signal = said if kind is RequestKind.SIGNAL else {}
    return RequestMade(
        request=WorkflowRequest(
            request_id=request_id or "",
            run_id=event.run_id,
            kind=kind,
            signal=signal.get("signal"),
            payload=payloads.encode(signal["payload"]) if signal else told.data,
            step=told.step,
            due_at=said["to"] if kind is RequestKind.CHANGE_TIMER else None,
            reason=told.reason,
        )
    )


def _migration(event: WorkflowEvent, accepted: EventEntry, told: EventEntry, others: Others) -> RequestMade:
    said = payloads.decode(told.data or b"{}")
    request = WorkflowRequest(
        request_id=accepted.request_id or "",
        run_id=event.run_id,
        kind=RequestKind.MIGRATE,
        version=said["to"],
        payload=payloads.encode(said["map"]),
        reason=told.reason,
    )
    return RequestMade(request=request, target=_deployed(event, said["to"], others))


def _deployed(event: WorkflowEvent, version: str, others: Others) -> Definition:
    if version not in others:
        raise Refused(f"run {event.run_id} went over to version {version} of {event.workflow}, which is not deployed")
    return others[version]


def _start(event: WorkflowEvent, accepted: EventEntry, told: EventEntry) -> WorkflowRequest:
    """A start, which may have come with a signal, for a later time, from another run or for one that had not begun."""
    signal = _said(event, EntryKind.SIGNAL_RECEIVED)
    later = _said(event, EntryKind.WAIT_BEGAN)
    return WorkflowRequest(
        request_id=accepted.request_id or "",
        run_id=event.run_id,
        kind=RequestKind.START if signal is None else RequestKind.SIGNAL,
        workflow=event.workflow,
        version=event.definition_version,
        if_exists=IfExists.DEBOUNCE if told.kind is EntryKind.START_CHANGED else IfExists.REJECT,
        payload=told.data if signal is None else payloads.encode(signal["payload"]),
        signal=None if signal is None else signal["signal"],
        start_input=None if signal is None else told.data,
        due_at=None if later is None else later["until"],
        parent=None if accepted.data is None else Parent.model_validate(payloads.decode(accepted.data)),
        reason=told.reason,
    )


def _said(event: WorkflowEvent, kind: EntryKind) -> Json:
    """What an entry of a kind says of the run itself; None when there is none."""
    found = (each for each in event.entries if each.kind is kind and each.step is None)
    entry = next(found, None)
    return None if entry is None else payloads.decode(entry.data or b"{}")


def _report(event: WorkflowEvent, told: EventEntry) -> ChildReported:
    said = payloads.decode(told.data or b"{}")
    report = ChildReport(
        run_id=said["run_id"],
        incarnation="",  # nothing reads it
        status=said["status"],
        output=payloads.encode(said["output"]) if "output" in said else None,
        error=_error(said["error"]) if "error" in said else None,
    )
    parent = Parent(run_id=event.run_id, incarnation=event.incarnation, path=told.step or "", waits=True)
    return ChildReported(parent=parent, report=report)


def _answer(event: WorkflowEvent, told: EventEntry, run: WorkflowRun | None) -> ResultReceived | None:
    """The result of a worker that an event came of; None when it came of none."""
    if told.kind is EntryKind.RECORD_EMITTED:  # an undo says so before it says that it is done
        undone = (each for each in event.entries if each.kind is EntryKind.STEP_COMPENSATED)
        told = next((each for each in undone if each.step == told.step), told)
    kind = _ANSWERED.get(told.kind)
    if kind is None or not told.attempt:
        return None
    steps = () if run is None else run.steps
    undoing = any(each.path == told.step and each.status is StepStatus.COMPENSATING for each in steps)
    return result(event, told, kind, run, undo=undoing)


def _error(fields: Json) -> ActionError:
    if "details" in fields:
        fields = {**fields, "details": payloads.encode(fields["details"])}
    return ActionError.model_validate(fields)
