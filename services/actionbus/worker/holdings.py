"""The partitions of one action's commands that this process holds: what was read, what is done, what is committed.

A partition is paused while too much of it is unfinished for the metadata of a commit, and all are while the lane has no
room. When partitions go to another member, what is done is committed first; what still runs is finished and answered
here, and its offsets are not committed any more.
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
from actionbus.process import metrics
from actionbus.worker.attempts import Claim
from actionbus.worker.offsets import Position, Progress

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

    async def commit(self, partitions: Iterable[int] | None = None) -> None:
        """Commit what is done, of all partitions held or of some; raises Unavailable. One that is gone is no error."""
        async with self._committing:
            offsets: dict[int, Position] = {}
            for number in self._held if partitions is None else set(partitions) & set(self._held):
                position = self._held[number].position()
                if position is not None and position != self._committed.get(number):
                    offsets[number] = position
            if not offsets:
                return
            values = {
                number: Committed(offset=position.offset, metadata=position.metadata)
                for number, position in offsets.items()
            }
            try:
                await self._reader.commit(values)
            except Fenced:
                return  # the new owner repeats what was not committed, and duplicates are answered alike
            self._committed.update(offsets)

    async def measure(self) -> None:
        """Show how many records of each partition are not done; a broker that does not answer shows nothing."""
        for number, progress in list(self._held.items()):
            position = progress.position()
            if position is None:
                continue
            try:
                end = await self._ends.end(self.topic, number)
            except ActionbusError:
                return
            if number in self._held:
                metrics.CONSUMER_LAG.labels(self.topic, number).set(max(0, end - position.offset))

    def _pause(self, *, everything: bool) -> None:
        full = {number for number, progress in self._held.items() if everything or not progress.room(POLL_RECORDS)}
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

    def _forget(self, partitions: Iterable[int]) -> None:
        for number in partitions:
            self._committed.pop(number, None)
            self._paused.discard(number)
            self.changed = True
            if self._held.pop(number, None) is not None:
                metrics.CONSUMER_LAG.remove(self.topic, number)

    async def _before_revoke(self, partitions: frozenset[int]) -> None:
        try:
            await self.commit(partitions)
        except ActionbusError as error:
            _log.warning("offsets are not committed before partitions go", topic=self.topic, reason=str(error))
