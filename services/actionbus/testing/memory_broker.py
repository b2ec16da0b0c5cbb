"""A broker in memory, for one shard's protocol: transactional ids, epochs, markers, and their weak points.

It speaks version 1 of Kafka's transaction protocol. An EndTxn names a producer's id and epoch, not a transaction: one
that arrives late ends whatever transaction of that epoch is open then. Source: KIP-890, which is the cure for it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from actionbus.contracts.errors import AccessRefused, BatchTooLarge, Fenced, PositionLost, Refused, TopicMissing
from actionbus.contracts.records import Headers, InRecord, OutRecord

Place = tuple[str, int]


class Ending(Enum):
    """How a transaction stands for those who read committed records."""

    OPEN = "nobody knows yet"
    COMMITTED = "its records count"
    ABORTED = "its records are as if they had never been"


@dataclass(slots=True)
class Transaction:
    """One transaction; its records point to it."""

    ending: Ending = Ending.OPEN
    lost: bool = False  # whether its markers were never written, nor ever will be by themselves
    places: set[Place] = field(default_factory=set[Place])


@dataclass(slots=True, kw_only=True)
class Stored:
    """A record, or a marker, at an offset."""

    offset: int
    timestamp_ms: int
    record: OutRecord | None
    transaction: Transaction | None
    marked: bool = True  # whether readers have been told how its transaction ended


@dataclass(slots=True)
class Holder:
    """A transactional id: its epoch, and the transaction that is open under it."""

    epoch: int = -1
    open: Transaction | None = None
    last: Ending | None = None
    left: list[Transaction] = field(default_factory=list[Transaction])  # ended without their markers


class MemoryBroker:
    """Topics, and the coordinator of transactions. Every call takes effect at once; delays are the network's business.

    ``verifies``: a record for a transaction that is not open is refused, as brokers do since KIP-890 part 1; without it
    the record opens a transaction that nobody has begun. While it ``loses_markers``, transactions end without any, as
    where partitions have no leader for a moment.
    """

    def __init__(self, *, verifies: bool = True, largest_batch: int = 1_048_588) -> None:
        self.verifies = verifies
        self.largest_batch = largest_batch
        self.narrow: dict[str, int] = {}  # the largest batch of topics that take less
        self.time_ms = 1_750_000_000_000
        self.forbidden: set[str] = set()
        self.markers_wait = False
        self.loses_markers = False
        self.groups: dict[tuple[str, str], int] = {}  # group and topic: the offset it has committed
        self.activity = 0
        self._topics: dict[str, int] = {}
        self._stored: defaultdict[Place, list[Stored]] = defaultdict(list)
        self._starts: defaultdict[Place, int] = defaultdict(int)
        self._holders: defaultdict[str, Holder] = defaultdict(Holder)
        self._changed = asyncio.Event()

    def make(self, topic: str, partitions: int = 1) -> None:
        """Make a topic."""
        self._topics[topic] = partitions

    def drop(self, topic: str) -> None:
        """Remove a topic."""
        self._topics.pop(topic, None)

    def partitions(self, topic: str) -> int | None:
        """How many partitions a topic has."""
        return self._topics.get(topic)

    def init(self, transactional_id: str) -> int:
        """A new epoch: what the holder before left open is aborted, and nothing of it is accepted any more."""
        holder = self._holders[transactional_id]
        if holder.open is not None:
            self._end(holder, Ending.ABORTED)
        self.write_markers()
        holder.epoch += 1
        holder.last = None
        return holder.epoch

    def add(self, transactional_id: str, epoch: int, places: Iterable[Place]) -> None:
        """Open a transaction, or add partitions to the one that is open."""
        holder = self._holder(transactional_id, epoch)
        for place in places:
            self._admit(place)
        if holder.open is None:
            holder.open = Transaction()
        holder.open.places.update(places)
        self._moved()

    def produce(self, transactional_id: str, epoch: int, place: Place, records: Sequence[OutRecord]) -> int:
        """Append one record batch to a partition inside a transaction; its first offset."""
        holder = self._holder(transactional_id, epoch)
        self._admit(place, records)
        if holder.open is None or place not in holder.open.places:
            if self.verifies:
                raise Refused(f"{place}: the broker answered INVALID_TXN_STATE")
            holder.open = holder.open or Transaction()
            holder.open.places.add(place)
        return self._append(place, records, holder.open)

    def end(self, transactional_id: str, epoch: int, *, commit: bool) -> None:
        """End whatever transaction is open under the id. Repeating the last ending is answered as if it were new."""
        holder = self._holder(transactional_id, epoch)
        ending = Ending.COMMITTED if commit else Ending.ABORTED
        if holder.open is not None:
            self._end(holder, ending)
        elif holder.last is not ending:
            raise Refused(f"{transactional_id}: the broker answered INVALID_TXN_STATE")

    def append(self, place: Place, records: Sequence[OutRecord]) -> int:
        """Append records outside any transaction; their first offset."""
        self._admit(place, records)
        return self._append(place, records, None)

    def write_markers(self) -> None:
        """Tell readers how all ended transactions have ended, where that was held back by ``markers_wait``."""
        for stored in self._stored.values():
            for each in stored:
                each.marked = each.marked or (
                    each.transaction is not None
                    and each.transaction.ending is not Ending.OPEN
                    and not each.transaction.lost
                )
        self._moved()

    def left(self, transactional_id: str) -> bool:
        """Whether a transaction of the id has ended without its markers."""
        return bool(self._holders[transactional_id].left)

    def clear(self, transactional_id: str, epoch: int) -> None:
        """Write the markers that are missing: to the broker another transaction, which has no record."""
        holder = self._holder(transactional_id, epoch)
        for transaction in [] if self.loses_markers else holder.left:
            self._mark(holder, transaction, transaction.ending)
        self._moved()

    def truncate(self, place: Place, start: int) -> None:
        """Remove the records below an offset, as retention does."""
        self._starts[place] = start

    def start(self, place: Place) -> int:
        """The oldest offset."""
        return self._starts[place]

    def end_offset(self, place: Place) -> int:
        """The offset after the last record that a reader of committed records may see: the last stable offset."""
        stored = self._stored[place]
        for each in stored:
            by = each.transaction
            if by is not None and (by.ending is Ending.OPEN or by.lost or not each.marked):
                return each.offset
        return len(stored)

    def written(self, place: Place) -> int:
        """The offset after the last record, whether it may be seen or not."""
        return len(self._stored[place])

    def read(self, place: Place, start: int, *, committed: bool = True) -> list[InRecord]:
        """The records from an offset on; raises PositionLost for one that the log does not hold."""
        stored = self._stored[place]
        if not self._starts[place] <= start <= len(stored):
            raise PositionLost(f"{place}: the log holds {self._starts[place]} to {len(stored)}, not {start}")
        last = self.end_offset(place) if committed else len(stored)
        return [
            _read(place, each, each.record)
            for each in stored[start:last]
            if each.record is not None
            and (not committed or each.transaction is None or each.transaction.ending is Ending.COMMITTED)
        ]

    async def change(self) -> None:
        """Return when anything has changed since the call."""
        await self._changed.wait()

    def _holder(self, transactional_id: str, epoch: int) -> Holder:
        holder = self._holders[transactional_id]
        if epoch != holder.epoch:
            raise Fenced(f"{transactional_id}: epoch {epoch} is over, {holder.epoch} has begun")
        return holder

    def _admit(self, place: Place, records: Sequence[OutRecord] = ()) -> None:
        topic, partition = place
        if partition >= self._topics.get(topic, 0):
            raise TopicMissing(f"topic {topic}, partition {partition}")
        if topic in self.forbidden:
            raise AccessRefused(f"topic {topic}")
        if sum(record.size for record in records) > self.narrow.get(topic, self.largest_batch):
            raise BatchTooLarge(f"topic {topic}")

    def _append(self, place: Place, records: Sequence[OutRecord], transaction: Transaction | None) -> int:
        self.time_ms += 1
        stored = self._stored[place]
        first = len(stored)
        for number, record in enumerate(records):
            stored.append(
                Stored(offset=first + number, timestamp_ms=self.time_ms, record=record, transaction=transaction)
            )
        self._moved()
        return first

    def _end(self, holder: Holder, ending: Ending) -> None:
        transaction = holder.open
        assert transaction is not None  # noqa: S101 - both callers have looked
        holder.open, holder.last = None, ending
        if self.loses_markers:
            transaction.ending, transaction.lost = ending, True
            holder.left.append(transaction)
        else:
            for each in [*holder.left, transaction]:  # a marker ends whatever the producer has open in the partition
                self._mark(holder, each, ending)
        self._moved()

    def _mark(self, holder: Holder, transaction: Transaction, ending: Ending) -> None:
        transaction.ending, transaction.lost = ending, False
        holder.left = [each for each in holder.left if each is not transaction]
        for place in transaction.places:
            offset = len(self._stored[place])
            if self.markers_wait:
                for each in self._stored[place]:
                    each.marked = each.marked and each.transaction is not transaction
            self._stored[place].append(Stored(offset=offset, timestamp_ms=self.time_ms, record=None, transaction=None))

    def _moved(self) -> None:
        self.activity += 1
        self._changed.set()
        self._changed = asyncio.Event()


def _read(place: Place, stored: Stored, record: OutRecord) -> InRecord:
    headers: Headers = record.headers
    return InRecord(
        topic=place[0],
        partition=place[1],
        offset=stored.offset,
        timestamp_ms=stored.timestamp_ms,
        key=record.key,
        value=record.value,
        headers=headers,
    )
