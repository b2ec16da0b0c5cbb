"""The inputs of a run, told from its events: what happened says what must have come.

Two things leave no event and change none: the words of a worker that it has begun and that it goes on, unless its
attempt took too long, and a request that was refused. The first is put back where it is needed, without what it said;
the second is not part of the history. Of the records that an action emitted only the topics are known. A priority is in
no event: it only says who goes first.
"""

from collections.abc import Iterator, Sequence

from actionbus.contracts.errors import Refused
from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.contracts.results import ResultKind
from actionbus.contracts.run import ROOT, StepState, StepStatus, Timer, TimerKind, WorkflowRun
from actionbus.engine import failure, history
from actionbus.engine.advance import advance
from actionbus.engine.cause import Others, cause, result
from actionbus.engine.definition import Definition
from actionbus.engine.history import Due, History, Moment
from actionbus.engine.inputs import Admitted, Input, TimerFired
from actionbus.engine.transition import Transition

Attempt = tuple[str, int, int]
"""A path, the number of an attempt, and the version of the event that scheduled it: after a rewind it comes again."""
Slow = dict[Attempt, TimerKind]
"""By which timer attempts were ended that a worker must have begun."""


def rebuild(
    definition: Definition, events: Sequence[WorkflowEvent], about: str, others: Others | None = None
) -> History:
    """The history of a run from its events, oldest first, and the definition that it began with.

    ``others``: those that it went over to, by version.
    Raises Refused when the events do not say what led to them: their beginning is gone, or a newer version wrote them.
    """
    own = [event for event in events if event.version > 0]
    for number, event in enumerate(own, start=1):
        if event.version != number:
            raise Refused(
                f"the event of version {number} of run {event.run_id} is not there: a history begins with its run, and "
                "the log keeps events for days only"
            )
    rebuilding = _Rebuilding(definition, others or {}, _slow(own))
    for event in own:
        rebuilding.add(event)
    return History(about=about, definition=definition, moments=tuple(rebuilding.moments))


class _Rebuilding:
    """A history under way: what came so far, and the run that it led to."""

    def __init__(self, definition: Definition, others: Others, slow: Slow) -> None:
        self.moments: list[Moment] = []
        self._others = others
        self._slow = slow
        self._definition = definition
        self._run: WorkflowRun | None = None
        self._versions: dict[int, int] = {}  # of the events, by the transactions that they have here

    def add(self, event: WorkflowEvent) -> None:
        """Find what led to an event.

        Timers that make no event may have fired before it: in a pause, or of loops that need nobody. They are put back
        one by one until the event comes. So is the word that an attempt has begun, if it then takes too long.
        """
        given = cause(event, self._run, self._others)
        while (found := self._found(given, event)) is None:
            silent = self._silent(event.at)
            if silent is None:  # this engine makes something else of it
                found = given or self._likely(event)
                break
            self._take(_due(silent), silent.due_at, None)
        self._take(found, event.at, event)
        self._begin(event)

    def _found(self, given: Input | None, event: WorkflowEvent) -> Input | Due | None:
        """What makes this very event come now: what was given, or what comes by itself."""
        if given is not None:
            return given if self._advance(given, event.at).event == event else None
        return next((each for each, made in self._chances(event.at) if made == event), None)

    def _begin(self, event: WorkflowEvent) -> None:
        """Put back the word of attempts that took too long later: at the earliest when they were scheduled.

        Where a version that the run went over to leaves them less time, it may have come only then.
        """
        for step in () if self._run is None else self._run.steps:
            kind = self._slow.get((step.path, step.attempt, self._versions.get(step.dispatch_seq, 0)))
            if kind is None or step.status is not StepStatus.SCHEDULED:
                continue
            said = ResultKind.HEARTBEAT if step.handed_over else ResultKind.STARTED
            about = EventEntry(kind=EntryKind.STEP_SCHEDULED, step=step.path, attempt=step.attempt)
            word = result(event, about, said, self._run)
            before, after = (_when(run, kind, step) for run in (self._run, self._advance(word, event.at).run))
            if after is not None and (before is None or after < before):
                self._take(word, event.at, None)

    def _take(self, came: Input | Due, now: int, event: WorkflowEvent | None) -> None:
        recorded = {"event": None if event is None else history.plain(event)}
        moment = Moment(now=now, seq=len(self.moments) + 1, event=came, outcome=recorded)
        if event is not None:
            self._versions[moment.seq] = event.version
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

    def _chances(self, now: int) -> Iterator[tuple[Due | Admitted, WorkflowEvent | None]]:
        """What may come by itself, and the event that it would make: timers that are due, in their order, and turns."""
        for timer in self._timers(now):
            yield _due(timer), self._fired(timer, now).event
        if self._run is None:
            return
        for path in [ROOT] * self._run.queued + [step.path for step in self._run.steps if step.queued]:
            yield Admitted(path=path), self._advance(Admitted(path=path), now).event

    def _silent(self, now: int) -> Timer | None:
        return next((each for each in self._timers(now) if self._fired(each, now).event is None), None)

    def _likely(self, event: WorkflowEvent) -> Due | Admitted:
        """What comes by itself and whose event begins as this one does, else the first that may."""
        chances = list(self._chances(event.at))
        if not chances:
            raise _strange(event)
        alike = (each for each, made in chances if made is not None and made.entries[0] == event.entries[0])
        return next(alike, chances[0][0])


def _slow(events: Sequence[WorkflowEvent]) -> Slow:
    found: Slow = {}
    scheduled: dict[tuple[str, int], int] = {}
    for version, entry in [(event.version, each) for event in events for each in event.entries]:
        path, attempt = entry.step or "", entry.attempt or 0
        if entry.kind is EntryKind.STEP_SCHEDULED:
            scheduled[path, attempt] = version
        if entry.kind is not EntryKind.STEP_TIMED_OUT:
            continue
        for kind in (TimerKind.START_TO_CLOSE, TimerKind.HEARTBEAT):
            if entry.data == failure.as_bytes(failure.timed_out(kind, attempt)):
                found[path, attempt, scheduled.get((path, attempt), 0)] = kind
    return found


def _when(run: WorkflowRun | None, kind: TimerKind, step: StepState) -> int | None:
    timers = () if run is None else run.timers
    return next((each.due_at for each in timers if (each.kind, each.step) == (kind, step.path)), None)


def _due(timer: Timer) -> Due:
    return Due(kind=timer.kind, step=timer.step)


def _strange(event: WorkflowEvent) -> Refused:
    return Refused(
        f"the event of version {event.version} of run {event.run_id} begins with {event.entries[0].kind}, and nothing "
        "that this version of actionbus knows leads to that: rebuild it with the version that wrote it"
    )
