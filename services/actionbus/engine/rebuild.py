"""The inputs of a run, told from its events: what happened says what must have come.

Two things leave no event and change none: the word of a worker that it has begun, unless its attempt took too long, and
a request that was refused. The first is put back where it is needed, the second is not part of the history. Of the
records that an action emitted only the topics are known.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from actionbus.contracts import identifiers, payloads
from actionbus.contracts.errors import Refused
from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.contracts.payloads import Json
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.contracts.results import ActionError, ActionResult, Emit, ResultKind
from actionbus.contracts.run import Timer, TimerKind, WorkflowRun
from actionbus.engine import history
from actionbus.engine.advance import advance
from actionbus.engine.definition import Definition
from actionbus.engine.history import Due, History, Moment
from actionbus.engine.inputs import Input, RequestMade, ResultReceived, StartRequested, TimerFired
from actionbus.engine.transition import Transition

_ASKED: Final = {
    EntryKind.SIGNAL_RECEIVED: RequestKind.SIGNAL,
    EntryKind.CANCEL_REQUESTED: RequestKind.CANCEL,
    EntryKind.TERMINATE_REQUESTED: RequestKind.TERMINATE,
    EntryKind.RUN_PAUSED: RequestKind.PAUSE,
    EntryKind.RUN_RESUMED: RequestKind.RESUME,
    EntryKind.RETRY_REQUESTED: RequestKind.RETRY_STEP,
    EntryKind.STEP_SKIPPED: RequestKind.SKIP_STEP,
    EntryKind.STEP_COMPLETED: RequestKind.COMPLETE_STEP,
    EntryKind.STEP_COMPENSATED: RequestKind.COMPLETE_STEP,  # an undo by hand; what it gave is not read
    EntryKind.TIMER_CHANGED: RequestKind.CHANGE_TIMER,
    EntryKind.RUN_MIGRATED: RequestKind.MIGRATE,
}
_ANSWERED: Final = {
    EntryKind.STEP_SUCCEEDED: ResultKind.SUCCEEDED,
    EntryKind.STEP_FAILED: ResultKind.FAILED,
    EntryKind.STEP_COMPENSATED: ResultKind.SUCCEEDED,
    # An undo that took too long is answered as one that failed with that error: nothing that follows differs.
    EntryKind.COMPENSATION_FAILED: ResultKind.FAILED,
}
_UNDOING: Final = (EntryKind.STEP_COMPENSATED, EntryKind.COMPENSATION_FAILED)


def rebuild(
    definition: Definition, events: Sequence[WorkflowEvent], about: str, others: Mapping[str, Definition] | None = None
) -> History:
    """The history of a run from its events, oldest first, and the definition that it began with.

    ``others``: those that it was migrated to, by version.
    Raises Refused when the events do not say what led to them: their beginning is gone, or a newer version wrote them.
    """
    own = [event for event in events if event.version > 0]
    for number, event in enumerate(own, start=1):
        if event.version != number:
            raise Refused(
                f"the event of version {number} of run {event.run_id} is not there: a history begins with its run, and "
                "the log keeps events for days only"
            )
    rebuilding = _Rebuilding(definition, others or {})
    for event in own:
        rebuilding.add(event)
    return History(about=about, definition=definition, moments=tuple(rebuilding.moments))


class _Rebuilding:
    """A history under way: what came so far, and the run that it led to."""

    def __init__(self, definition: Definition, others: Mapping[str, Definition]) -> None:
        self.moments: list[Moment] = []
        self._others = others
        self._definition = definition
        self._run: WorkflowRun | None = None

    def add(self, event: WorkflowEvent) -> None:
        """Find what led to an event.

        Timers that make no event may have fired before it: in a pause, or of loops that need nobody. They are put back
        one by one until the event comes.
        """
        asked = event.entries[0].kind is EntryKind.REQUEST_ACCEPTED
        given = _request(event, self._others) if asked else _answer(event)
        told = _telling(event)
        while (found := self._found(given, event)) is None:
            if told.kind is EntryKind.STEP_TIMED_OUT and not self._has_begun(told):
                self._begin(event, told)
            elif (silent := self._silent(event.at)) is not None:
                self._take(_due(silent), silent.due_at, None)
            else:  # this engine makes something else of it
                found = given or self._likely(event)
                break
        self._take(found, event.at, event)

    def _found(self, given: Input | None, event: WorkflowEvent) -> Input | Due | None:
        """What makes this very event come now: what was given, or a timer that is due."""
        if given is not None:
            return given if self._advance(given, event.at).event == event else None
        due = (each for each in self._timers(event.at) if self._fired(each, event.at).event == event)
        timer = next(due, None)
        return None if timer is None else _due(timer)

    def _take(self, came: Input | Due, now: int, event: WorkflowEvent | None) -> None:
        recorded = {"event": None if event is None else history.plain(event)}
        moment = Moment(now=now, seq=len(self.moments) + 1, event=came, outcome=recorded)
        given = history.input_of(moment, self._run)
        self._run = self._advance(given, now).run
        self._definition = history.pinned(self._definition, given, self._run)
        self.moments.append(moment)

    def _advance(self, came: Input, now: int) -> Transition:
        return advance(self._definition, self._run, came, now, len(self.moments) + 1)

    def _fired(self, timer: Timer, now: int) -> Transition:
        return self._advance(TimerFired(timer_id=timer.id), now)

    def _timers(self, now: int) -> list[Timer]:
        """Those that are due, in the order in which they fire."""
        timers = () if self._run is None else self._run.timers
        return sorted((each for each in timers if each.due_at <= now), key=lambda each: (each.due_at, each.id))

    def _silent(self, now: int) -> Timer | None:
        return next((each for each in self._timers(now) if self._fired(each, now).event is None), None)

    def _has_begun(self, told: EventEntry) -> bool:
        timers = () if self._run is None else self._run.timers
        return any((each.kind, each.step) == (TimerKind.START_TO_CLOSE, told.step) for each in timers)

    def _begin(self, event: WorkflowEvent, told: EventEntry) -> None:
        """An attempt took too long, so a worker had begun it: at the earliest when it was scheduled."""
        steps = () if self._run is None else self._run.steps
        scheduled = next((step.scheduled_at for step in steps if step.path == told.step), event.at)
        self._take(_result(event, told, ResultKind.STARTED, undo=False), scheduled, None)
        if not self._has_begun(told):
            raise _strange(event)

    def _likely(self, event: WorkflowEvent) -> Due:
        """A timer whose event begins as this one does, else the first that is due."""
        due = self._timers(event.at)
        if not due:
            raise _strange(event)
        fired = ((timer, self._fired(timer, event.at).event) for timer in due)
        alike = (timer for timer, comes in fired if comes is not None and comes.entries[0] == event.entries[0])
        return _due(next(alike, due[0]))


def _due(timer: Timer) -> Due:
    return Due(kind=timer.kind, step=timer.step)


def _strange(event: WorkflowEvent) -> Refused:
    return Refused(
        f"the event of version {event.version} of run {event.run_id} begins with {event.entries[0].kind}, and nothing "
        "that this version of actionbus knows leads to that: rebuild it with the version that wrote it"
    )


def _telling(event: WorkflowEvent) -> EventEntry:
    """The entry that says what an event is about: before it may stand that an incident is over."""
    return next((each for each in event.entries if each.kind is not EntryKind.INCIDENT_CLOSED), event.entries[0])


def _request(event: WorkflowEvent, others: Mapping[str, Definition]) -> StartRequested | RequestMade:
    accepted, *rest = event.entries
    told = rest[0]
    if told.kind is EntryKind.RUN_STARTED:
        return StartRequested(request=_start(event, accepted, told), incarnation=event.incarnation)
    kind = _ASKED.get(told.kind)
    if kind is None:
        raise Refused(f"the event of version {event.version} of run {event.run_id} answers a request by {told.kind}")
    said = payloads.decode(told.data or b"null")
    if kind is RequestKind.MIGRATE:
        return _migration(event, accepted, told, others)
    signal = said if kind is RequestKind.SIGNAL else {}
    return RequestMade(
        request=WorkflowRequest(
            request_id=accepted.request_id or "",
            run_id=event.run_id,
            kind=kind,
            signal=signal.get("signal"),
            payload=payloads.encode(signal["payload"]) if signal else told.data,
            step=None if signal else told.step,
            due_at=said["to"] if kind is RequestKind.CHANGE_TIMER else None,
            reason=told.reason,
        )
    )


def _migration(
    event: WorkflowEvent, accepted: EventEntry, told: EventEntry, others: Mapping[str, Definition]
) -> RequestMade:
    said = payloads.decode(told.data or b"{}")
    if said["to"] not in others:
        raise Refused(
            f"run {event.run_id} went over to version {said['to']} of {event.workflow}, which is not deployed"
        )
    request = WorkflowRequest(
        request_id=accepted.request_id or "",
        run_id=event.run_id,
        kind=RequestKind.MIGRATE,
        version=said["to"],
        payload=payloads.encode(said["map"]),
        reason=told.reason,
    )
    return RequestMade(request=request, target=others[said["to"]])


def _start(event: WorkflowEvent, accepted: EventEntry, told: EventEntry) -> WorkflowRequest:
    """A start, which may have come with a signal or for a later time."""
    signal = _said(event, EntryKind.SIGNAL_RECEIVED)
    later = _said(event, EntryKind.WAIT_BEGAN)
    return WorkflowRequest(
        request_id=accepted.request_id or "",
        run_id=event.run_id,
        kind=RequestKind.START if signal is None else RequestKind.SIGNAL,
        workflow=event.workflow,
        version=event.definition_version,
        payload=told.data if signal is None else payloads.encode(signal["payload"]),
        signal=None if signal is None else signal["signal"],
        start_input=None if signal is None else told.data,
        due_at=None if later is None else later["until"],
        reason=told.reason,
    )


def _said(event: WorkflowEvent, kind: EntryKind) -> Json:
    """What an entry of a kind says of the run itself; None when there is none."""
    found = (each for each in event.entries if each.kind is kind and each.step is None)
    entry = next(found, None)
    return None if entry is None else payloads.decode(entry.data or b"{}")


def _answer(event: WorkflowEvent) -> ResultReceived | None:
    """The result of a worker that an event came of; None when it came of none."""
    told = _telling(event)
    if told.kind is EntryKind.RECORD_EMITTED:  # an undo says so before it says that it is done
        undone = (each for each in event.entries if each.kind is EntryKind.STEP_COMPENSATED)
        told = next((each for each in undone if each.step == told.step), told)
    kind = _ANSWERED.get(told.kind)
    if kind is None or not told.attempt:
        return None
    return _result(event, told, kind, undo=told.kind in _UNDOING)


def _result(event: WorkflowEvent, told: EventEntry, kind: ResultKind, *, undo: bool) -> ResultReceived:
    key = identifiers.step_key(event.run_id, event.incarnation, told.step or "")
    command = identifiers.command_id(key, told.attempt or 1, undo=undo)
    topics = [
        payloads.decode(each.data or b"{}")["topic"]
        for each in event.entries
        if each.kind is EntryKind.RECORD_EMITTED and each.step == told.step
    ]
    result = ActionResult(
        command_id=command,
        step_key=key,
        run_id=event.run_id,
        kind=kind,
        nonce=history.nonce(command),
        output=told.data if kind is ResultKind.SUCCEEDED else None,
        emits=tuple(Emit(topic=topic) for topic in topics),
        error=_error(told.data) if kind is ResultKind.FAILED else None,
    )
    return ResultReceived(result=result, command=identifiers.parse_command_id(command))


def _error(data: bytes | None) -> ActionError:
    fields = payloads.decode(data or b"{}")
    if "details" in fields:
        fields["details"] = payloads.encode(fields["details"])
    return ActionError.model_validate(fields)
