"""Topics for tests: made, filled, and looked at by our reader, by the library and byte by byte."""

import asyncio
from collections.abc import Collection

from aiokafka import AIOKafkaConsumer
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from actionbus.contracts.records import OutRecord
from actionbus.kafka.admin import Admin, TopicPlan
from actionbus.kafka.cluster import Cluster
from actionbus.kafka.reader import PartitionReader

SECONDS = 240.0  # no test depends on speed


def record(text: str, *, key: str = "k", **rest) -> OutRecord:
    """A record with this value."""
    return OutRecord(key=key.encode(), value=text.encode(), **rest)


async def topic(connection, name: str, *, partitions: int = 1, **settings: str) -> str:
    """A new topic."""
    async with Admin(connection) as admin:
        await admin.create_topics([TopicPlan(name=name, partitions=partitions, settings=settings)])
    return name


async def values(
    connection, name: str, partition: int = 0, *, count: int = 1, last: str | None = None, isolation="read_committed"
) -> list[str]:
    """All values of a partition, as soon as there are `count` of them, and the last is `last` where one is named.

    What was committed a moment ago may not be readable yet: the markers are written after the reply to the commit.
    """
    async with asyncio.timeout(SECONDS), PartitionReader(connection, isolation=isolation) as reader:
        while True:
            found = [r.value.decode() async for batch in reader.read_to_end(name, partition) for r in batch]
            if len(found) >= count and (last is None or found[-1] == last):
                return found
            await asyncio.sleep(0.01)


async def values_by_library(connection, name: str, partition: int = 0, *, count: int) -> list[str]:
    """The same, read by the library's consumer as an independent witness."""
    consumer = AIOKafkaConsumer(bootstrap_servers=connection.bootstrap_servers, isolation_level="read_committed")
    await consumer.start()
    try:
        place = TopicPartition(name, partition)
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        found: list[str] = []
        async with asyncio.timeout(SECONDS):
            while len(found) < count:
                for batch in (await consumer.getmany(timeout_ms=100)).values():
                    found += [r.value.decode() for r in batch]
        return found
    finally:
        await consumer.stop()


async def batch_sizes(connection, name: str, partition: int = 0) -> list[int]:
    """How many records each batch in the log has, markers included, as the broker stored them."""
    async with Cluster(connection) as brokers:
        node = await brokers.find_leader(name, partition)
        reply = await brokers.send(node, FetchRequest(100, 1, 50_000_000, 0, [(name, [(partition, 0, 50_000_000)])]))
        log = MemoryRecords(reply.topics[0][1][0][-1])
        sizes = []
        while log.has_next():
            batch = log.next_batch()
            sizes.append(batch.next_offset - batch.base_offset)
        return sizes


async def settled(connection, places: Collection[tuple[str, int]]) -> None:
    """Return once no transaction is open in any of these partitions; what no broker answers for is asked again."""
    async with PartitionReader(connection) as reader:
        while True:
            seen = await reader.ends(places, committed=True)
            if len(seen) == len(places) and seen == await reader.ends(places, committed=False):
                return
            await asyncio.sleep(0.02)
