"""The partitions of one action's commands that this process holds: what was read, what is done, what is committed.

A partition is paused while too much of it is unfinished for the metadata of a commit, and all are while the lane has no
room. When partitions go to another member, what is done is committed first; what still runs is finished and answered
here, and its offsets are not committed any more. A partition that comes is first committed as held, before anything of
it is begun: so whoever comes after an owner that was killed knows that one was.
"""

import asyncio
from collections.abc import Iterable
from typing import Final, Self

import structlog

from actionbus.contracts.errors import ActionbusError, Fenced, PositionLost
from actionbus.contracts.limits import Limits
from actionbus.contracts.records import InRecord
from actionbus.kafka.admin import Committed
from actionbus.kafka.connection import Connection
from actionbus.kafka.group import GroupReader, Polled
from actionbus.kafka.reader import PartitionReader
from actionbus.kafka.rebalances import Assigned, Failed, Lost, Revoked
from actionbus.process import crashing, metrics
from actionbus.worker import answers, metadata
from actionbus.worker.attempts import Claim
from actionbus.worker.metadata import Position
from actionbus.worker.offsets import Progress

POLL_RECORDS: Final = 500
ACCEPT_GAP: Final = "ACTIONBUS_WORKER_ACCEPT_GAP"

_log = structlog.get_logger(__name__)


class Holdings:
    """One member of an action's group. Enter it to join, leave it to leave."""

    def __init__(
        self,
        connection: Connection,
        *,
        group: str,
        topic: str,
        limits: Limits,
        session_timeout_ms: int,
        instance_id: str | None = None,
        accept_gap: bool = False,
    ) -> None:
        self.topic = topic
        self.group = group
        self.joined = False
        self.changed = False  # partitions went; whoever keeps places of them sets it back
        self._metadata_bytes = limits.commit_metadata_bytes
        self._reader = GroupReader(
            connection,
            group,
            topic,
            limits=limits,
            before_revoke=self._before_revoke,
            accept_gap=accept_gap,
            session_timeout_ms=session_timeout_ms,
            instance_id=instance_id,
        )
        self._ends = PartitionReader(connection, isolation="read_uncommitted")
        self._held: dict[int, Progress] = {}
        self._committed: dict[int, Position] = {}
        self._paused: set[int] = set()
        self._unopened: set[int] = set()  # came, and are not committed as held yet
        self._first: dict[int, tuple[int, int]] = {}  # of each partition: the first record not done, and its time
        self._committing = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._ends.start()
        await self._reader.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._reader.close()
        await self._ends.close()
        self._forget(list(self._held))

    def holds(self, claim: Claim) -> bool:
        """Whether the place of a command is still ours to commit."""
        return any(progress is claim.progress for progress in self._held.values())

    async def poll(self, *, timeout_ms: int, room: int) -> list[tuple[InRecord, Claim]]:
        """Records that are not done yet, at most ``room`` of them, each with its place; raises what the group says."""
        await self._open()
        self._pause(everything=room <= 0)
        try:
            polled = await self._reader.poll(timeout_ms=timeout_ms, max_records=max(1, min(room, POLL_RECORDS)))
        except PositionLost as error:
            raise PositionLost(f"{error}: look what is missing, then set {ACCEPT_GAP}=true for one start") from error
        self._apply(polled)
        taken: list[tuple[InRecord, Claim]] = []
        for record in polled.records:
            progress = self._held.get(record.partition)
            if progress is not None and progress.receive(record.offset):
                taken.append((record, Claim(progress, record.offset)))
        return taken

    async def begin(self, claims: Iterable[Claim]) -> set[Claim]:
        """Put on record that suspected places are begun, and say which stand there now. Raises Unavailable.

        One that does not had no room beside the others, or its partition is going to another member.
        """
        marked = [claim for claim in claims if claim.progress.begin(claim.offset)]
        await self.commit()
        if marked:
            crashing.visit(crashing.Point.SUSPECT_RECORDED)
        recorded = {
            (id(progress), offset)
            for number, progress in self._held.items()
            for offset in metadata.read(self._committed[number]).begun
        }
        return {claim for claim in marked if (id(claim.progress), claim.offset) in recorded}

    async def commit(self, partitions: Iterable[int] | None = None, *, leaving: bool = False) -> None:
        """Commit what is done, of all partitions held or of some; raises Unavailable. One that is gone is no error.

        ``leaving``: the partitions go in peace, and what is under way in them ends here without harm.
        """
        async with self._committing:
            offsets: dict[int, Position] = {}
            for number in self._held if partitions is None else set(partitions) & set(self._held):
                position = self._held[number].position(leaving=leaving)
                if position is not None and position != self._committed.get(number):
                    offsets[number] = position
            if not offsets:
                return
            moved = any(each.offset > self._committed[number].offset for number, each in offsets.items())
            values = {
                number: Committed(offset=position.offset, metadata=position.metadata)
                for number, position in offsets.items()
            }
            try:
                await self._reader.commit(values)
            except Fenced:
                return  # the new owner repeats what was not committed, and duplicates are answered alike
            if moved:
                crashing.visit(crashing.Point.OFFSET_COMMITTED)
            self._committed.update(offsets)

    async def measure(self) -> None:
        """Show how many records of each partition are not done, and the age of the first one.

        A broker that does not answer shows nothing.
        """
        positions = {number: position for number, each in self._held.items() if (position := each.position())}
        try:
            ends = await self._ends.ends((self.topic, number) for number in positions)
            for (_, number), end in ends.items():
                lag = max(0, end - positions[number].offset)
                age = await self._age(number, positions[number].offset, end) if lag else 0.0
                if number in self._held:
                    metrics.CONSUMER_LAG.labels(self.topic, number).set(lag)
                    metrics.CONSUMER_LAG_AGE.labels(self.topic, number).set(age)
        except ActionbusError:
            return

    async def _age(self, number: int, offset: int, end: int) -> float:
        """The age in seconds of the record at an offset, which is looked up once for as long as it is the first."""
        known = self._first.get(number)
        if known is None or known[0] != offset:
            written_at = await self._ends.written_at(self.topic, number, offset, end)
            if written_at is None:
                return 0.0
            known = self._first[number] = (offset, written_at)
        return max(0, answers.now_ms() - known[1]) / 1000

    def _pause(self, *, everything: bool) -> None:
        full = {
            number
            for number, progress in self._held.items()
            if everything or number in self._unopened or not progress.room(POLL_RECORDS)
        }
        if full - self._paused:
            self._reader.pause(full - self._paused)
        if self._paused - full:
            self._reader.resume(self._paused - full)
        self._paused = full

    def _apply(self, polled: Polled) -> None:
        for change in polled.changes:
            match change:
                case Revoked(partitions=partitions) | Lost(partitions=partitions):
                    self._forget(partitions)
                case Assigned(partitions=partitions):
                    self.joined = True
                    metrics.REBALANCES.inc()
                    _log.info("holds partitions", topic=self.topic, partitions=sorted(partitions))
                case Failed(error=error):
                    raise error
        for number, start in polled.started.items():
            position = Position(offset=start.offset, metadata=start.metadata)
            self._held[number] = Progress(position, metadata_bytes=self._metadata_bytes)
            self._committed[number] = position
            self._paused.discard(number)
            self._unopened.add(number)

    async def _open(self) -> None:
        """Commit the partitions that came as held, and learn what of them an owner that was killed may have begun."""
        if not self._unopened:
            return
        for number in self._unopened:
            if self._held[number].deserted:
                self._held[number].suspect_below(await self._ends.end(self.topic, number))
        await self.commit(self._unopened)
        crashing.visit(crashing.Point.PARTITION_HELD)
        self._unopened -= {number for number in self._unopened if metadata.read(self._committed[number]).held}

    def _forget(self, partitions: Iterable[int]) -> None:
        for number in partitions:
            self._committed.pop(number, None)
            self._paused.discard(number)
            self._unopened.discard(number)
            self._first.pop(number, None)
            self.changed = True
            if self._held.pop(number, None) is not None:
                metrics.CONSUMER_LAG.remove(self.topic, number)
                metrics.CONSUMER_LAG_AGE.remove(self.topic, number)

    async def _before_revoke(self, partitions: frozenset[int]) -> None:
        try:
            await self.commit(partitions, leaving=True)
        except ActionbusError as error:
            _log.warning("offsets are not committed before partitions go", topic=self.topic, reason=str(error))
