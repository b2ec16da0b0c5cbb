"""What a fetch brings back, as records: aborted transactions and markers left out, offsets kept. No network here."""

from dataclasses import dataclass
from typing import Any, Final

from aiokafka.record.control_record import ABORT_MARKER, ControlRecord

from actionbus.contracts.errors import RecordUnreadable
from actionbus.contracts.records import InRecord
from actionbus.kafka.batches import Partition
from actionbus.kafka.parcels import Parcels

_WITH_SESSIONS: Final = 11  # from this version on a fetch reply ends with the preferred replica before the records


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The part of a fetch reply that concerns one partition."""

    place: Partition
    code: int
    records: list[InRecord]
    next_offset: int  # where the next fetch begins, also when nothing of this page was a record


def pages(reply: Any, wanted: dict[Partition, int], *, committed: bool) -> list[Page]:
    """The pages of a reply; `wanted` gives the offset that was asked for. Raises RecordUnreadable on a wrong CRC."""
    found: list[Page] = []
    for topic, partitions in reply.topics:
        for partition, code, _high, *rest in partitions:
            place = (topic, partition)
            aborted = rest[2] if reply.API_VERSION >= _WITH_SESSIONS else rest[-2]
            records, following = unpack(place, rest[-1], aborted or (), wanted[place], committed=committed)
            found.append(Page(place=place, code=code, records=records, next_offset=following))
    return found


def unpack(
    place: Partition, data: bytes, aborted: Any, position: int, *, committed: bool
) -> tuple[list[InRecord], int]:
    """The records at or after `position` in a run of record batches, and the offset after the last batch.

    `aborted` lists (producer id, first offset) of the aborted transactions in this run, as the broker gives it. Raises
    RecordUnreadable when a batch's checksum is wrong.
    """
    topic, partition = place
    found: list[InRecord] = []
    waiting = sorted(_in_force(aborted, data, position), key=lambda entry: entry[1], reverse=True)
    aborting: set[int] = set()
    memory = Parcels(data)
    while memory.has_next():
        batch: Any = memory.next_batch()
        if not batch.validate_crc():
            raise RecordUnreadable(f"topic {topic}, partition {partition}, offset {batch.base_offset}: wrong checksum")
        # Before the marker is looked at: a read may begin at the marker of a transaction that began earlier.
        while waiting and waiting[-1][1] <= batch.base_offset:
            aborting.add(waiting.pop()[0])
        if batch.is_control_batch:
            if ControlRecord.parse(next(batch).key) == ABORT_MARKER:
                aborting.discard(batch.producer_id)
        elif not (committed and batch.is_transactional and batch.producer_id in aborting):
            found.extend(_records(topic, partition, batch, position))
        position = max(position, batch.next_offset)
    return found, position


def _in_force(aborted: Any, data: bytes, position: int) -> list[tuple[int, int]]:
    """The aborted transactions that concern this run of batches.

    Kafka lists no others. noida-db 0.2.3 lists every aborted transaction of the log, and one that ended before
    `position` would hide what its producer committed later. The producer's next marker tells: a commit ends none.
    """
    earlier = {producer for producer, first in aborted if first < position}
    if not earlier:
        return list(aborted)
    committed: set[int] = set()
    memory = Parcels(data)
    while earlier and memory.has_next():
        batch: Any = memory.next_batch()
        if batch.is_control_batch and batch.producer_id in earlier:
            earlier.discard(batch.producer_id)
            if ControlRecord.parse(next(batch).key) != ABORT_MARKER:
                committed.add(batch.producer_id)
    return [(producer, first) for producer, first in aborted if first >= position or producer not in committed]


def _records(topic: str, partition: int, batch: Any, position: int) -> list[InRecord]:
    return [
        InRecord(
            topic=topic,
            partition=partition,
            offset=record.offset,
            timestamp_ms=record.timestamp,
            key=record.key,
            value=record.value,
            headers=tuple((name, value or b"") for name, value in record.headers),
        )
        for record in batch
        if record.offset >= position  # a fetch may begin inside a batch
    ]
