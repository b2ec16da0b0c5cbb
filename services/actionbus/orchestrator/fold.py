"""Inputs applied to runs, one after the other: all that one transaction will write. Nothing here waits."""

import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, assert_never

import structlog

from actionbus.contracts.dead_letters import dead_letter
from actionbus.contracts.errors import ActionbusError, InvariantBroken, PayloadRefused
from actionbus.contracts.events import WorkflowEvent
from actionbus.contracts.records import InRecord, OutRecord
from actionbus.contracts.requests import WorkflowRequest
from actionbus.contracts.results import ActionError, Emit, ResultKind
from actionbus.contracts.run import Timer, TimerKind, WorkflowRun
from actionbus.engine import outgrown, report
from actionbus.engine.inputs import Admitted, Input, RequestMade, ResultReceived, StartRequested, TimerFired
from actionbus.engine.transition import Outcome, Transition
from actionbus.orchestrator import inputs, judgement
from actionbus.orchestrator.charter import Charter
from actionbus.orchestrator.clocks import BrokerTime
from actionbus.orchestrator.destinations import Unseen
from actionbus.orchestrator.firing import Firing
from actionbus.orchestrator.hearing import LISTEN_MS
from actionbus.orchestrator.judgement import NotDeployed
from actionbus.orchestrator.quarantine import Sentence
from actionbus.orchestrator.queues import Queues
from actionbus.orchestrator.store import RunStore
from actionbus.process import logs

FULL_SHARE: Final = 0.7  # of a record batch: what is folded is estimated before it is encoded
FRAMING_BYTES: Final = 400  # of a state record: headers and Kafka's own
SIGNS_OF_LIFE: Final = (ResultKind.STARTED, ResultKind.HEARTBEAT)
REARM_MS: Final = 60_000  # when a run whose timer cannot be carried out is looked at again

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """An event with the trace of its run, and how old the run is."""

    event: WorkflowEvent
    trace: str | None
    age_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Emitted:
    """A record to publish, with the run that asks and the time of the transition."""

    emit: Emit
    run_id: str
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request to another run, with the trace of the run that asks."""

    request: WorkflowRequest
    trace: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offsets:
    """The next request and the next result to read."""

    requests: int
    results: int


class Fold:
    """The outcome of a run of inputs on top of the store, and of the fold before it while that is being written."""

    def __init__(
        self,
        charter: Charter,
        store: RunStore,
        queues: Queues,
        time: BrokerTime,
        *,
        seq: int,
        offsets: Offsets,
        parent: "Fold | None" = None,
    ) -> None:
        self.seq = seq
        self.offsets = offsets
        self.parent = parent
        self.inputs: list[InRecord | Firing] = []
        self.touched: dict[str, WorkflowRun | None] = {}
        self.before: dict[str, WorkflowRun | None] = {}  # what is touched, as it stood when this fold began
        self.events: list[Happened] = []
        self.emits: list[Emitted] = []
        self.asked: list[Asked] = []
        self.strays: list[tuple[str, int, OutRecord]] = []
        self.letters: list[OutRecord] = []
        self.buried: Counter[str] = Counter()  # the letters, by what was wrong with them
        self.forged = 0  # results that were passed over
        self.fired: list[tuple[int, str | None]] = []  # timers: by how many milliseconds they were late, in which trace
        self.outcomes: Counter[Outcome] = Counter()  # of results
        self.unwanted: list[str] = []  # commands that somebody works on in vain
        self._bytes = 0
        self._charter = charter
        self._store = store
        self._queues = queues
        self._time = time

    @property
    def full(self) -> bool:
        """Whether it is enough for one transaction."""
        limits = self._charter.limits
        return len(self.inputs) >= limits.fold_inputs or self._bytes >= FULL_SHARE * limits.batch_bytes

    @property
    def quiet(self) -> bool:
        """Whether nobody waits for it: no event has happened, only the position or a sign of life has moved."""
        return not (self.events or self.strays or self.letters)

    def emits_to(self, cause: BaseException | None) -> bool:
        """Whether a refusal is about a topic that an action of this fold emits to, and not about one of ours."""
        return any(re.search(rf"\btopic {re.escape(each.emit.topic)}(?![\w.-])", str(cause)) for each in self.emits)

    def run(self, run_id: str) -> WorkflowRun | None:
        """A run as it stands after everything folded so far."""
        fold: Fold | None = self
        while fold is not None:
            if run_id in fold.touched:
                return fold.touched[run_id]
            fold = fold.parent
        return self._store.get(run_id)

    def take(self, record: InRecord, *, certain: bool) -> None:
        """Fold a request or a result. Raises NotDeployed or Unseen, and then nothing has changed.

        ``certain``: the definitions were read after the record had arrived.
        """
        now = self._time.see(record.timestamp_ms)
        reading = inputs.read(self._charter, record)
        match reading:
            case inputs.Accepted():
                self._accept(record, reading, now, certain=certain)
            case inputs.Astray():
                self.strays.append((record.topic, reading.partition, reading.record))
            case inputs.Unreadable():
                self._bury(record, reading.error)
            case inputs.Ignored.FORGED:
                self.forged += 1
            case _:
                assert_never(reading)
        self._pass(record)

    def condemn(self, record: InRecord, sentence: Sentence) -> None:
        """Fold a record whose effect the brokers have refused: it counts as a failure, or is only kept, or dropped."""
        now = self._time.see(record.timestamp_ms)
        why = ActionError(
            type=judgement.EMIT_REFUSED,
            message=f"what it asks for cannot be written: {sentence.cause}",
            retryable=False,
        )
        _log.error("an input is condemned", topic=record.topic, offset=record.offset, severity=sentence.severity)
        reading = inputs.read(self._charter, record)
        if sentence.severity == 1 and isinstance(reading, inputs.Accepted):
            run = self.run(reading.run_id)
            with suppress(PayloadRefused):
                transition = judgement.refuse(self._charter, reading.event, run, now, self.seq, why=why)
                self._keep(reading.run_id, run, transition, now)
        if sentence.severity <= 2:  # noqa: PLR2004 - see Sentence
            self._bury(record, PayloadRefused(why.message))
        self._pass(record)

    def _pass(self, record: InRecord) -> None:
        self.inputs.append(record)
        self._bytes += len(record.value or b"")
        if record.topic == self._charter.topics.results:
            self.offsets = Offsets(requests=self.offsets.requests, results=record.offset + 1)
        else:
            self.offsets = Offsets(requests=record.offset + 1, results=self.offsets.results)

    def _bury(self, record: InRecord, error: Exception) -> None:
        self.buried[type(error).__name__] += 1
        _log.warning("a record goes to the dead letters", topic=record.topic, offset=record.offset, error=str(error))
        group = self._charter.topics.orchestrator_group
        largest = self._charter.limits.record_bytes
        self.letters.append(dead_letter(record, group=group, error=error, largest=largest))

    def fire(self, run_id: str, *, heard: bool) -> int | None:
        """Fold the timers of a run that are due; when to look at it again. Raises Unseen; what was fired stays.

        ``heard``: nothing that a worker has said waits to be read, so that one who was not heard may be given up.
        """
        now = self._time.latest
        fired = False
        while (run := self.run(run_id)) is not None:
            timer, due_at = _next(run, now, heard=heard)
            if timer is None or due_at > now:
                return None if timer is None else due_at
            try:
                transition = self._advance(run_id, TimerFired(timer_id=timer.id), run, now, certain=True)
            except Unseen:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, the other runs go on
                _log.error("a timer cannot be carried out", timer=timer.id, error=str(error), **_about(run_id, run))
                return now + REARM_MS
            if transition.run is run:
                raise InvariantBroken(f"timer {timer.id} of run {run_id} is due and changes nothing")
            if not fired:
                self.inputs.append(Firing(run_id=run_id))
            self.fired.append((now - timer.due_at, run.trace))
            fired = True
        return None

    def give_up(self, run_id: str, cause: BaseException) -> bool:
        """Fold that a run fails, because its timer or its turn leads to what no topic takes; False: it cannot."""
        run = self.run(run_id)
        definition = None if run is None else self._charter.definitions.of(run)
        if run is None or definition is None:
            return False
        why = ActionError(
            type=judgement.EMIT_REFUSED, message=f"what it leads to cannot be written: {cause}", retryable=False
        )
        _log.error("a run is given up", reason=why.message, **_about(run_id, run))
        transition = outgrown.given_up(definition, run, why, self._time.latest, self.seq)
        if transition.run is run:
            return False
        self._keep(run_id, run, transition, self._time.latest)
        self.inputs.append(Firing(run_id=run_id))
        return True

    def admit(self, run_id: str, path: str) -> bool:
        """Fold that the turn of a step, or of a run, has come; False: it cannot go on now. Raises Unseen."""
        run, now = self.run(run_id), self._time.latest
        try:
            transition = self._advance(run_id, Admitted(path=path), run, now, certain=True)
        except Unseen:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the others in the line go on
            _log.error("a turn cannot be used", step=path, error=str(error), **_about(run_id, run))
            return False
        if transition.run is run:
            raise InvariantBroken(f"the turn of {path or 'the run'} in run {run_id} has come and changes nothing")
        self.inputs.append(Firing(run_id=run_id))
        return True

    def outgrow(self, run_id: str, size: int) -> bool:
        """Give up a run whose record has become too large; False: it is on its way to its end already."""
        run = self.touched[run_id]
        definition = None if run is None else self._charter.definitions.of(run)
        if run is None or definition is None:
            return False
        _log.error("a run has outgrown its record", size=size, **_about(run_id, run))
        transition = outgrown.outgrown(definition, run, size, self._time.latest, self.seq)
        self._keep(run_id, run, transition, self._time.latest)
        return transition.run is not run

    def _accept(self, record: InRecord, accepted: inputs.Accepted, now: int, *, certain: bool) -> None:
        run = self.run(accepted.run_id)
        try:
            self._advance(accepted.run_id, accepted.event, run, now, certain=certain)
        except (Unseen, NotDeployed):
            raise
        except Exception as error:  # noqa: BLE001 - an input that breaks the engine must not stop its shard
            if not isinstance(error, ActionbusError):
                about = _about(accepted.run_id, run)
                _log.exception("the engine failed on an input", topic=record.topic, offset=record.offset, **about)
            self._bury(record, error)
            if isinstance(accepted.event, StartRequested | RequestMade):  # a run that asked must not wait for ever
                why = f"it was set aside as a dead letter: {type(error).__name__}: {error}"
                refusals = report.of_refusal(accepted.event.request, why, now)
                self.asked.extend(Asked(request=each, trace=None) for each in refusals)

    def _advance(self, run_id: str, event: Input, run: WorkflowRun | None, now: int, *, certain: bool) -> Transition:
        transition = judgement.judge(self._charter, event, run, now, self.seq, certain=certain)
        if run_id not in self.touched:
            self._bytes += FRAMING_BYTES + self._store.size(run_id)
        self._keep(run_id, run, transition, now)
        if isinstance(event, ResultReceived):
            self.outcomes[transition.outcome] += 1
            if transition.outcome is Outcome.STALE and event.result.kind in SIGNS_OF_LIFE:
                self.unwanted.append(event.result.command_id)
        return transition

    def _keep(self, run_id: str, run: WorkflowRun | None, transition: Transition, now: int) -> None:
        if transition.outcome is Outcome.FORGOTTEN:
            self.before.setdefault(run_id, run)
            self.touched[run_id] = None
        elif transition.run is not None and transition.run is not run:
            self.before.setdefault(run_id, run)
            self.touched[run_id] = transition.run
            if transition.limited or self._queues.knows(run_id):
                self._queues.note(transition.run)
        trace = asked = None
        if transition.run is not None:
            trace = transition.run.trace
            if transition.requests:
                name = f"{run_id}:{transition.run.incarnation}"
                asked = self._charter.spans.handed_on(name, transition.run.workflow, trace)
        if transition.event is not None:
            age = 0 if transition.run is None else now - transition.run.created_at
            self.events.append(Happened(event=transition.event, trace=trace, age_ms=age))
        self.asked.extend(Asked(request=request, trace=asked) for request in transition.requests)
        self.emits.extend(Emitted(emit=emit, run_id=run_id, at=now) for emit in transition.emits)


def _about(run_id: str, run: WorkflowRun | None) -> dict[str, str | int]:
    if run is None:
        return logs.about(run_id=run_id)
    return logs.about(run_id=run_id, workflow=run.workflow, trace=run.trace)


def _next(run: WorkflowRun, now: int, *, heard: bool) -> tuple[Timer | None, int]:
    """The timer that comes first, and when; that of a silent attempt not before everybody was heard."""

    def due(timer: Timer) -> int:
        waits = timer.kind is TimerKind.HEARTBEAT and not heard
        return max(timer.due_at, now + LISTEN_MS) if waits else timer.due_at

    timer = min(run.timers, key=lambda each: (due(each), each.id), default=None)
    return timer, 0 if timer is None else due(timer)
