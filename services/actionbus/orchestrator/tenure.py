"""One owner's time with a shard, from a takeover to the first doubt: all memory there is, and the loop that moves it.

Inputs are folded while the transaction before is being written; the next one begins only when that one is known to be
committed. Whatever else happens ends the tenure, and with it everything it remembers.
"""

import asyncio
import math
from typing import Final

import structlog

from actionbus.contracts.errors import BatchTooLarge, Doubt, InvariantBroken
from actionbus.contracts.positions import ShardPosition
from actionbus.contracts.run import WorkflowRun
from actionbus.orchestrator import batch as batches
from actionbus.orchestrator import control, reconcile, takeover
from actionbus.orchestrator.admissions import Admissions
from actionbus.orchestrator.batch import Batch
from actionbus.orchestrator.charter import Charter
from actionbus.orchestrator.clocks import BrokerTime
from actionbus.orchestrator.destinations import Unseen
from actionbus.orchestrator.dispatcher import Dispatcher
from actionbus.orchestrator.dispatching import Dispatching
from actionbus.orchestrator.firing import Firing
from actionbus.orchestrator.fold import REARM_MS, Fold, Offsets
from actionbus.orchestrator.hearing import Hearing
from actionbus.orchestrator.intake import Intake
from actionbus.orchestrator.judgement import NotDeployed
from actionbus.orchestrator.progress import Progress
from actionbus.orchestrator.quarantine import Quarantine
from actionbus.orchestrator.reconcile import Reconciler
from actionbus.orchestrator.store import Mark
from actionbus.process import crashing, metrics

LAST_ACKNOWLEDGEMENTS_MS: Final = 2_000  # how long a release waits for commands to be acknowledged
QUIET_MS: Final = 1_000  # how long a position that nobody waits for may stay unwritten

_log = structlog.get_logger(__name__)


class Tenure:
    """What one owner remembers of a shard, and does with it."""

    def __init__(self, charter: Charter, holding: takeover.Holding, quarantine: Quarantine) -> None:
        self._charter = charter
        self._holding = holding
        self._quarantine = quarantine
        position = holding.position
        self._dispatching = Dispatching(position.dispatched_through)
        self._wake = asyncio.Event()
        holding.watch(self._wake.set)
        self._dispatcher = Dispatcher(charter, self._dispatching, self._wake.set)
        self._time = BrokerTime(charter.clock, position.latest_time)
        self._reconciler = Reconciler(charter, self._dispatcher, self._time)
        self._hearing = Hearing(charter.clock)
        self._admissions = Admissions(charter, holding, quarantine, self._enough)
        self._committed = position
        self._turn = 0  # A is first
        self._flight: asyncio.Task[Mark] | None = None
        self._flying: tuple[Fold, Batch] | None = None
        self._quiet_since: int | None = None
        self._departed = 0
        self._certain = 0  # of the waiting records, how many arrived before the definitions were read
        self._cap: int | None = None
        self._stopping = False
        self._release_by = 0
        self._intake: Intake | None = None

    @property
    def progress(self) -> Progress:
        """How far it has come."""
        position = self._committed
        return Progress(
            requests=position.requests_offset,
            results=position.results_offset,
            timers=len(self._holding.timers),
            now=self._time.read(),
            backlog=self._holding.backlog,
        )

    async def close(self) -> None:
        """Drop everything; nothing of it may be used again."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.gather(self._flight, return_exceptions=True)
        if self._intake is not None:
            await self._intake.close()
        self._reconciler.close()
        self._dispatcher.close()
        await self._holding.close()

    def release(self) -> None:
        """Take nothing more; ``serve`` returns once what was begun is written, and the last position with it."""
        self._release_by = self._charter.clock.now_ms() + LAST_ACKNOWLEDGEMENTS_MS
        self._stopping = True
        self._wake.set()

    async def begin(self) -> None:
        """Write a position, on A, and learn the broker's time from it; then send what may never have been sent."""
        undispatched, self._holding.undispatched = self._holding.undispatched, []
        again = self._dispatcher.recall(undispatched, self._committed.dispatched_through)
        fold = self._open(None)
        batch = batches.seal(self._charter, fold, self._position(fold))
        mark = await self._write(batch)
        self._settle(fold, batch, mark)
        self._time.see(await takeover.written_at(self._charter, mark))
        crashing.visit(crashing.Point.FIRST_COMMITTED)
        self._dispatcher.publish(again)
        _log.info(
            "the shard is taken over", shard=self._charter.shard, txn_seq=self._committed.txn_seq, again=len(again)
        )

    async def serve(self) -> None:
        """Work until released; raises Doubt, PositionLost, or whatever else ends the tenure."""
        intake = self._intake = self._open_intake()
        fold = self._open(None)
        while True:
            self._wake.clear()
            intake.check()
            self._holding.check()
            if self._flight is not None and self._flight.done():
                fold = self._land(fold, intake)
            if not self._stopping:
                await self._fill(fold, intake)
            if self._flight is None and self._ripe(fold):
                fold = self._depart(fold, intake)
            elif self._stopping and self._flight is None and self._let_go():
                await self._write_last(fold)
                return
            else:
                await self._rest(fold)

    def _open_intake(self) -> Intake:
        topics, shard, limits = self._charter.topics, self._charter.shard, self._charter.limits
        positions = {
            (topics.requests, shard): self._committed.requests_offset,
            (topics.results, shard): self._committed.results_offset,
        }
        return Intake(
            self._charter.log.follow(positions),
            self._wake.set,
            fold_inputs=limits.fold_inputs,
            fold_bytes=limits.batch_bytes,
        )

    def _open(self, parent: Fold | None) -> Fold:
        committed = self._committed
        offsets = Offsets(requests=committed.requests_offset, results=committed.results_offset)
        return Fold(
            self._charter,
            self._holding.store,
            self._holding.queues,
            self._time,
            seq=committed.txn_seq + 1 if parent is None else parent.seq + 1,
            offsets=offsets if parent is None else parent.offsets,
            parent=parent,
        )

    async def _fill(self, fold: Fold, intake: Intake) -> None:
        """Fold what is there; waits only for an answer about a definition or a topic that nobody has asked for yet."""
        timers = self._holding.timers
        now = self._time.read()
        while not self._enough(fold) and (run_id := timers.pop(now)) is not None:
            try:
                later = self._fire(fold, run_id, now)
            except Unseen as unseen:
                later = now
                await self._charter.destinations.look(unseen.topic)
            committed, run = self._holding.store.get(run_id), fold.run(run_id)
            if committed is not None and run is not None:
                self._reconciler.consider(committed, run)
            self._arm(run_id, run, [] if later is None else [later])
        await self._admissions.fill(fold, now)
        while not self._enough(fold) and (record := intake.first()) is not None:
            sentence = self._quarantine.sentence(record)
            try:
                if sentence is None:
                    fold.take(record, certain=self._certain > 0)
                else:
                    fold.condemn(record, sentence)
            except Unseen as unseen:
                await self._charter.destinations.look(unseen.topic)
            except NotDeployed:
                await self._charter.definitions.catch_up()
                self._certain = len(intake)
            else:
                self._certain -= 1
                intake.drop()
        # What has just become free, at the time that was read with it.
        await self._admissions.fill(fold, self._time.latest)
        self._hearing.read(len(intake))

    def _fire(self, fold: Fold, run_id: str, now: int) -> int | None:
        """Fold the timers of a run that are due; when to look at it again. Raises Unseen."""
        firing = Firing(run_id=run_id)
        sentence = self._quarantine.sentence(firing)
        if sentence is None:
            return fold.fire(run_id, heard=self._hearing.complete)
        if sentence.hopeless and fold.give_up(run_id, sentence.cause):
            return None
        self._quarantine.pardon(firing)  # what its timer leads to may be writable later
        return now + REARM_MS

    def _enough(self, fold: Fold) -> bool:
        cap = self._cap if self._quarantine.cap is None else self._quarantine.cap
        return fold.full or (cap is not None and len(fold.inputs) >= cap)

    def _ripe(self, fold: Fold) -> bool:
        """Whether a fold is to be written now; there is no waiting for more to come."""
        if not fold.inputs:
            return False
        if self._stopping or not fold.quiet or self._enough(fold):
            return True
        now = self._charter.clock.now_ms()
        if self._quiet_since is None:
            self._quiet_since = now
        return now - self._quiet_since >= QUIET_MS

    def _depart(self, fold: Fold, intake: Intake) -> Fold:
        """Send a fold on its way; the fold to go on with."""
        self._quiet_since = None
        try:
            batch = batches.seal(self._charter, fold, self._position(fold))
        except BatchTooLarge as error:
            return self._fold_less(fold, intake, error)
        self._flying = (fold, batch)
        self._departed = self._charter.clock.now_ms()
        self._flight = asyncio.get_running_loop().create_task(self._write(batch))
        self._flight.add_done_callback(lambda _: self._wake.set())
        return self._open(fold)

    def _land(self, fold: Fold, intake: Intake) -> Fold:
        """Take in the outcome of the transaction that was under way; the fold to go on with."""
        if self._flight is None or self._flying is None:
            raise InvariantBroken("nothing was under way")
        (written, batch), flight = self._flying, self._flight
        self._flight, self._flying = None, None
        try:
            mark = flight.result()
        except BatchTooLarge as error:  # nothing has left
            self._give_back(fold, intake)
            return self._fold_less(written, intake, error)
        except Doubt as doubt:
            self._quarantine.failed(written.inputs, doubt.__cause__, foreign=written.emits_to(doubt.__cause__))
            self._charter.destinations.forget()
            raise
        if self._charter.clock.now_ms() - self._departed > self._charter.publish_within_ms:
            raise Doubt("this process stood still for so long that another may own the shard: nothing is published")
        self._dispatcher.send(batch.runs, batch.position.txn_seq)
        control.tell(self._charter, control.given_up(written, self._holding.store.get), self._time.latest)
        self._settle(written, batch, mark)
        fold.parent = None
        return fold

    def _settle(self, fold: Fold, batch: Batch, mark: Mark) -> None:
        """A batch is committed: it becomes what the shard remembers."""
        self._committed = batch.position
        self._holding.store.apply(batch.changes, mark)
        for run_id, change in batch.changes.items():
            run = change.run
            self._arm(run_id, run, [] if run is None else [timer.due_at for timer in run.timers])
        self._holding.tally.committed(fold)
        self._holding.backlog.committed(fold)
        for each in fold.events:
            self._charter.spans.happened(each.event, each.trace, each.age_ms)
        self._quarantine.passed(fold.inputs)
        self._cap = None

    def _arm(self, run_id: str, run: WorkflowRun | None, due: list[int]) -> None:
        """Look at a run when one of its timers is due, or when a command of it has been out for long."""
        if run is None:
            self._holding.timers.disarm(run_id)
            return
        due += reconcile.looks(run, self._time.latest, self._charter.reconcile_after_ms)
        if due:
            self._holding.timers.arm_at(run_id, min(due))

    def _fold_less(self, fold: Fold, intake: Intake, error: BatchTooLarge) -> Fold:
        """A fold does not fit a transaction: begin again with half of it."""
        if len(fold.inputs) == 1:
            self._quarantine.condemn(fold.inputs[0], error)
        self._cap = max(1, len(fold.inputs) // 2)
        self._give_back(fold, intake)
        return self._open(None)

    def _give_back(self, fold: Fold, intake: Intake) -> None:
        self._admissions.forget(fold)
        intake.give_back([each for each in fold.inputs if not isinstance(each, Firing)])
        for each in fold.inputs:
            if isinstance(each, Firing):
                self._holding.timers.arm_at(each.run_id, self._time.latest)

    async def _write(self, batch: Batch) -> Mark:
        writer = self._holding.writers[self._turn]
        self._turn = 1 - self._turn
        try:
            with metrics.TXN_DURATION.time():
                mark = await batches.write(self._charter, writer, batch)
        except Doubt:
            metrics.TXN_ABORTS.inc()
            raise
        metrics.TXN_COMMITS.inc()
        return mark

    def _position(self, fold: Fold) -> ShardPosition:
        return ShardPosition(
            partitions=self._charter.partitions,
            requests_offset=fold.offsets.requests,
            results_offset=fold.offsets.results,
            txn_seq=fold.seq,
            dispatched_through=self._dispatching.through(self._committed.txn_seq),
            latest_time=self._time.latest,
            owner=self._charter.owner,
        )

    def _let_go(self) -> bool:
        """Whether a release need wait no longer: every command is acknowledged, or has had its time."""
        return not len(self._dispatching) or self._charter.clock.now_ms() >= self._release_by

    async def _write_last(self, fold: Fold) -> None:
        """Say which commands are out, so that the next owner does not send them again."""
        if self._dispatching.through(self._committed.txn_seq) > self._committed.dispatched_through:
            crashing.visit(crashing.Point.RELEASING)
            await self._write(batches.seal(self._charter, fold, self._position(fold)))

    async def _rest(self, fold: Fold) -> None:
        """Wait until something arrives, ends or is due."""
        waits: list[int] = []
        if not self._stopping and not self._enough(fold):
            due = (self._holding.timers.next_at, self._holding.queues.next_at)
            waits.extend(max(0, math.ceil(at) - self._time.read()) for at in due if at is not None)
            if self._quiet_since is not None:
                waits.append(max(0, self._quiet_since + QUIET_MS - self._charter.clock.now_ms()))
        if self._stopping and self._flight is None:
            waits.append(max(0, self._release_by - self._charter.clock.now_ms()))
        alarm = self._charter.clock.call_in(min(waits), self._wake.set) if waits else None
        await self._wake.wait()
        if alarm is not None:
            alarm.cancel()
