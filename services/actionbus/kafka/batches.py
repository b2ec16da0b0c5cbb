"""Record batches as bytes, and the request that carries them. Who sends them, and how often, is not decided here."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

from actionbus.contracts.errors import BatchTooLarge
from actionbus.contracts.records import OutRecord
from actionbus.kafka import clients
from actionbus.kafka.producer_id import ProducerIdentity

Partition = tuple[str, int]  # topic and number

ALL_REPLICAS: Final = -1  # acks=all
LARGEST_SEQUENCE: Final = 2**31 - 1
_MAGIC: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The broker's answer for one partition: an error code, 0 for success, and the offset of the first record."""

    code: int
    base_offset: int


def build(records: Sequence[OutRecord], identity: ProducerIdentity, *, sequence: int, limit: int) -> bytes:
    """One record batch; raises BatchTooLarge when the records do not fit into `limit` bytes."""
    builder = DefaultRecordBatchBuilder(
        magic=_MAGIC,
        compression_type=DefaultRecordBatch.CODEC_NONE,
        is_transactional=int(identity.transactional),
        producer_id=identity.producer_id,
        producer_epoch=identity.epoch,
        base_sequence=sequence,
        batch_size=limit,
    )
    for offset, record in enumerate(records):
        # The builder takes the first record whatever its size, so the size is looked at again below.
        if builder.append(offset, record.timestamp_ms, record.key, record.value, list(record.headers)) is None:
            raise BatchTooLarge(f"{len(records)} records do not fit one batch of {limit} bytes; {offset} of them do")
    if builder.size() > limit:
        raise BatchTooLarge(f"a record of {records[0].size} bytes does not fit one batch of {limit} bytes")
    return bytes(builder.build())


def split(records: Sequence[OutRecord], *, limit: int) -> Iterator[Sequence[OutRecord]]:
    """Cut records into runs that each fit one batch of `limit` bytes, as few as their order allows."""
    start, size = 0, clients.BATCH_OVERHEAD
    for index, record in enumerate(records):
        more = size_of(record)
        if index > start and size + more > limit:
            yield records[start:index]
            start, size = index, clients.BATCH_OVERHEAD
        size += more
    if start < len(records):
        yield records[start:]


def size_of(record: OutRecord) -> int:
    """The most bytes a record takes inside a batch."""
    return DefaultRecordBatchBuilder.estimate_size_in_bytes(record.key, record.value, list(record.headers))


def after(sequence: int, records: int) -> int:
    """The sequence number that follows a batch; it wraps as the broker's does."""
    following = sequence + records
    return following if following <= LARGEST_SEQUENCE else following - LARGEST_SEQUENCE - 1


def request(batches: Mapping[Partition, bytes], transactional_id: str | None) -> ProduceRequest:
    """One request for the leader of all these partitions, to be answered when all in-sync replicas have them."""
    topics: defaultdict[str, list[tuple[int, bytes]]] = defaultdict(list)
    for (topic, partition), data in batches.items():
        topics[topic].append((partition, data))
    return ProduceRequest(transactional_id, ALL_REPLICAS, clients.PRODUCE_TIMEOUT_MS, list(topics.items()))


def deliveries(reply: Any) -> dict[Partition, Delivery]:
    """The answers in a reply, by partition."""
    return {
        (topic, answer[0]): Delivery(code=answer[1], base_offset=answer[2])
        for topic, answers in reply.topics
        for answer in answers
    }
