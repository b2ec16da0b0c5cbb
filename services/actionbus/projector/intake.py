"""From records as Kafka holds them to what the tables are given: decoded, or refused with a reason."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from actionbus.contracts.errors import RecordUnreadable
from actionbus.contracts.events import WorkflowEvent
from actionbus.kafka.codec import Codec
from actionbus.visibility.incoming import Incoming, Stretch

AT_ONCE: Final = 50  # records decoded in one go: a millisecond, for which an answer of the database waits at most


class Raw(NamedTuple):
    """One record of the events topic; ``at``: epoch milliseconds by the broker's clock."""

    partition: int
    offset: int
    at: int
    value: bytes | None


async def stretch(codec: Codec, records: Sequence[Raw]) -> Stretch:
    """Records of one partition, in order and one at least, decoded a few at a time so that others go on meanwhile."""
    found: list[Incoming] = []
    for begin in range(0, len(records), AT_ONCE):
        found += [_read(codec, each) for each in records[begin : begin + AT_ONCE]]
        await asyncio.sleep(0)
    return Stretch(partition=records[-1].partition, records=found, position=records[-1].offset + 1)


def joined(parts: Iterable[Stretch]) -> list[Stretch]:
    """One stretch of each partition, in order. A record that came twice, as around a rebalance, is in it once."""
    found: dict[int, dict[int, Incoming]] = defaultdict(dict)
    for part in parts:
        known = found[part.partition]
        for record in part.records:
            known.setdefault(record.offset, record)
    made: list[Stretch] = []
    for partition, known in sorted(found.items()):
        ordered = [known[offset] for offset in sorted(known)]
        made.append(Stretch(partition=partition, records=ordered, position=ordered[-1].offset + 1))
    return made


def _read(codec: Codec, record: Raw) -> Incoming:
    try:
        event = codec.decode(WorkflowEvent, record.value)
    except RecordUnreadable as error:
        return Incoming(record.offset, record.at, record.value or b"", None, str(error))
    return Incoming(record.offset, record.at, record.value or b"", event)
