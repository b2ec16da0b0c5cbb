"""The inputs of a run, told from its events: what happened says what must have come.

Two things leave no event and change none: the word of a worker that it has begun, unless its attempt took too long, and
a request that was refused. The first is put back where it is needed, the second is not part of the history. Of the
records that an action emitted only the topics are known.
"""

from collections.abc import Sequence
from typing import Final

from actionbus.contracts import identifiers, payloads
from actionbus.contracts.errors import Refused
from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.contracts.payloads import Json
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.contracts.results import ActionError, ActionResult, Emit, ResultKind
from actionbus.contracts.run import RunStatus, Timer, TimerKind, WorkflowRun
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
}
_ANSWERED: Final = {
    EntryKind.STEP_SUCCEEDED: ResultKind.SUCCEEDED,
    EntryKind.STEP_FAILED: ResultKind.FAILED,
    EntryKind.STEP_COMPENSATED: ResultKind.SUCCEEDED,
    # An undo that took too long is answered as one that failed with that error: nothing that follows differs.
    EntryKind.COMPENSATION_FAILED: ResultKind.FAILED,
}
_UNDOING: Final = (EntryKind.STEP_COMPENSATED, EntryKind.COMPENSATION_FAILED)


def rebuild(definition: Definition, events: Sequence[WorkflowEvent], about: str) -> History:
    """The history of a run from its events, oldest first, and the definition it is pinned to.

    Raises Refused when the events do not say what led to them: their beginning is gone, or a newer version wrote them.
    """
    own = [event for event in events if event.version > 0]
    for number, event in enumerate(own, start=1):
        if event.version != number:
            raise Refused(
                f"the event of version {number} of run {event.run_id} is not there: a history begins with its run, and "
                "the log keeps events for days only"
            )
    rebuilding = _Rebuilding(definition)
    for event in own:
        rebuilding.add(event)
    return History(about=about, definition=definition, moments=tuple(rebuilding.moments))


class _Rebuilding:
    """A history under way: what came so far, and the run that it led to."""

    def __init__(self, definition: Definition) -> None:
        self.moments: list[Moment] = []
        self._definition = definition
        self._run: WorkflowRun | None = None

    def add(self, event: WorkflowEvent) -> None:
        """Find what led to an event."""
        self._hold_back(event.at)
        asked = event.entries[0].kind is EntryKind.REQUEST_ACCEPTED
        answer = None if asked else _answer(event)
        if asked:
            self._take(_request(event), event.at, event)
        elif answer is not None:
            self._take(answer, event.at, event)
        else:
            self._take(self._timer(event), event.at, event)

    def _take(self, came: Input | Due, now: int, event: WorkflowEvent | None) -> None:
        recorded = {"event": None if event is None else history.plain(event)}
        moment = Moment(now=now, seq=len(self.moments) + 1, event=came, outcome=recorded)
        self._run = self._advance(history.input_of(moment, self._run), now).run
        self.moments.append(moment)

    def _advance(self, came: Input, now: int) -> Transition:
        return advance(self._definition, self._run, came, now, len(self.moments) + 1)

    def _hold_back(self, now: int) -> None:
        """In a paused run what its time has come for is held, and where nothing else happens there is no event."""
        if self._run is None or self._run.status is not RunStatus.PAUSED:
            return
        for timer in self._due(now):
            if self._advance(TimerFired(timer_id=timer.id), now).event is None:
                self._take(Due(kind=timer.kind, step=timer.step), timer.due_at, None)

    def _timer(self, event: WorkflowEvent) -> Due:
        """The timer that an event came of. Timers that are due fire in their order, also those that make no event."""
        while due := self._due(event.at):
            tried = [(each, self._advance(TimerFired(timer_id=each.id), event.at).event) for each in due]
            for timer, comes in tried:
                if comes is not None and comes.entries[0] == event.entries[0]:
                    return Due(kind=timer.kind, step=timer.step)
            if tried[0][1] is not None:
                break
            self._take(Due(kind=due[0].kind, step=due[0].step), due[0].due_at, None)
        told = _telling(event)
        if told.kind is EntryKind.STEP_TIMED_OUT:
            return self._began(event, told)
        if not due:
            raise Refused(
                f"the event of version {event.version} of run {event.run_id} begins with {told.kind}, and nothing that "
                "this version of actionbus knows leads to that: rebuild it with the version that wrote it"
            )
        return Due(kind=due[0].kind, step=due[0].step)

    def _due(self, now: int) -> list[Timer]:
        timers = () if self._run is None else self._run.timers
        return sorted((each for each in timers if each.due_at <= now), key=lambda each: (each.due_at, each.id))

    def _began(self, event: WorkflowEvent, told: EventEntry) -> Due:
        """An attempt took too long, so a worker had begun it: at the earliest when it was scheduled."""
        steps = () if self._run is None else self._run.steps
        scheduled = next((step.scheduled_at for step in steps if step.path == told.step), event.at)
        self._take(_result(event, told, ResultKind.STARTED, undo=False), scheduled, None)
        return Due(kind=TimerKind.START_TO_CLOSE, step=told.step)


def _telling(event: WorkflowEvent) -> EventEntry:
    """The entry that says what an event is about: before it may stand that an incident is over."""
    return next((each for each in event.entries if each.kind is not EntryKind.INCIDENT_CLOSED), event.entries[0])


def _request(event: WorkflowEvent) -> StartRequested | RequestMade:
    accepted, *rest = event.entries
    told = rest[0]
    if told.kind is EntryKind.RUN_STARTED:
        return StartRequested(request=_start(event, accepted, told), incarnation=event.incarnation)
    kind = _ASKED.get(told.kind)
    if kind is None:
        raise Refused(f"the event of version {event.version} of run {event.run_id} answers a request by {told.kind}")
    said = payloads.decode(told.data or b"null")
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
