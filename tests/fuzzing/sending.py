"""Writes records as a program in C might: header names of any bytes, no producer id, nothing looked at before."""

import asyncio
import struct
from collections.abc import Sequence

from aiokafka.record.util import calc_crc32c

from actionbus.contracts.records import OutRecord
from actionbus.kafka import batches, cluster, outcomes, producer_id
from fuzzing.hostile import STRANGE_NAME

STRANGE_BYTES = b"\xff\xfe\xc0\xff\xfe\xc0\xff\xfe"  # as long as STRANGE_NAME
MOST_BYTES = 950_000  # of one batch, below what brokers take
_CRC_AT, _CHECKED_FROM = 17, 21  # in a record batch of version 2
_AGAIN_SECONDS = 0.2


async def write(brokers: cluster.Cluster, topic: str, partition: int, records: Sequence[OutRecord]) -> list[int]:
    """Write records in their order, in as many batches as they need; their offsets."""
    offsets: list[int] = []
    for part in batches.split(records, limit=MOST_BYTES):
        first = await _write(brokers, topic, partition, batch(part))
        offsets += range(first, first + len(part))
    return offsets


def batch(records: Sequence[OutRecord]) -> bytes:
    """One record batch, with the bytes that no text can hold put in."""
    made = batches.build(records, producer_id.NOBODY, sequence=-1, limit=2 * MOST_BYTES)
    name = STRANGE_NAME.encode()
    if name not in made:
        return made
    made = made.replace(name, STRANGE_BYTES)
    return made[:_CRC_AT] + struct.pack(">I", calc_crc32c(made[_CHECKED_FROM:])) + made[_CHECKED_FROM:]


async def _write(brokers: cluster.Cluster, topic: str, partition: int, data: bytes) -> int:
    request = batches.request({(topic, partition): data}, None)
    while True:
        leader = await brokers.find_leader(topic, partition)
        try:
            answer = batches.deliveries(await brokers.send(leader, request)).get((topic, partition))
        except cluster.Silence:
            answer = None
        if answer is not None and answer.code == outcomes.NONE:
            return answer.base_offset
        assert answer is None or answer.code in outcomes.RETRIABLE_PRODUCE, f"{topic}[{partition}] refuses: {answer}"
        await brokers.refresh()
        await asyncio.sleep(_AGAIN_SECONDS)
