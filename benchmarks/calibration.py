"""How fast this machine and its broker are right now, so that figures of two days, or of two minutes, compare."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from actionbus.contracts.records import OutRecord
from actionbus.kafka.admin import Admin, TopicPlan
from actionbus.kafka.connection import Connection
from actionbus.kafka.producer import IdempotentProducer
from actionbus.kafka.reader import PartitionReader
from actionbus.kafka.transaction import TransactionalProducer

TURNS = 700
TRIES = 40
REST_SECONDS = 0.01  # longer than a reader pauses after a record
_RECORD = OutRecord(key=b"key", value=b"value" * 40)


def loop_us() -> float:
    """CPU microseconds of one turn of plain Python: calls, attributes, dicts and bytes, as our own code has them."""
    begun = time.process_time_ns()
    for number in range(TURNS):
        _turn(number)
    return (time.process_time_ns() - begun) / 1_000 / TURNS


class _Thing:
    __slots__ = ("fields", "name")

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.fields = {"number": number, "name": name}


def _turn(number: int) -> bytes:
    out = bytearray()
    for name in ("run", "step", "attempt"):
        thing = _Thing(name, number)
        out += thing.name.encode()
        out += thing.fields["number"].to_bytes(8, "big")
    return bytes(out)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """What the machine and its broker take for the plainest things, with nothing else under way."""

    loop_us: float  # a turn of plain Python
    hop_ms: float  # from a plain write to its reader
    transaction_ms: float  # one record written and committed


class Probe:
    """Writes and reads a topic of its own, one record at a time."""

    def __init__(self, connection: Connection, name: str) -> None:
        self._connection = connection
        self._topic = f"{name}.calibration"

    async def pace(self) -> Pace:
        """Medians of a few dozen tries."""
        async with Admin(self._connection) as admin:
            if self._topic not in await admin.topics(self._topic):
                await admin.create_topics([TopicPlan(name=self._topic, partitions=1)])
        return Pace(
            loop_us=statistics.median(loop_us() for _ in range(TRIES)),
            hop_ms=statistics.median([each async for each in self._hops()]),
            transaction_ms=statistics.median([each async for each in self._transactions()]),
        )

    async def _hops(self) -> AsyncIterator[float]:
        async with IdempotentProducer(self._connection) as producer, PartitionReader(self._connection) as reader:
            end = await reader.end(self._topic, 0)
            async with aclosing(reader.follow({(self._topic, 0): end})) as pages:
                for _ in range(TRIES):
                    begun = time.perf_counter()
                    producer.append(self._topic, 0, [_RECORD])
                    await anext(pages)
                    yield (time.perf_counter() - begun) * 1_000
                    await asyncio.sleep(REST_SECONDS)

    async def _transactions(self) -> AsyncIterator[float]:
        producer = TransactionalProducer(self._connection, self._topic)
        await producer.start()
        try:
            for _ in range(TRIES):
                begun = time.perf_counter()
                producer.begin()
                producer.append(self._topic, 0, [_RECORD])
                await producer.commit()
                yield (time.perf_counter() - begun) * 1_000
                await asyncio.sleep(REST_SECONDS)
        finally:
            await producer.close()
