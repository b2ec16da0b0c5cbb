"""What this room does when brokers of a real cluster die: nothing acknowledged is lost, nothing is written twice."""

import asyncio
from contextlib import aclosing, suppress

import pytest

from actionbus.contracts.errors import Doubt, Unavailable
from actionbus.kafka.admin import Admin, TopicPlan
from actionbus.kafka.connection import Connection
from actionbus.kafka.producer import IdempotentProducer
from actionbus.kafka.reader import PartitionReader
from actionbus.kafka.transaction import TransactionalProducer
from support.topics import record, values

pytestmark = [pytest.mark.kafka, pytest.mark.java, pytest.mark.slow, pytest.mark.timeout(600)]
SECONDS = 240
ROUNDS = 3


@pytest.fixture
async def connection(apache_kafka_3):
    """The connection to all three nodes, each of which runs."""
    return Connection(bootstrap_servers=apache_kafka_3.bootstrap)


@pytest.fixture
async def name(connection, prefix):
    """A topic of three partitions with three copies."""
    async with Admin(connection) as admin:
        await admin.create_topics([TopicPlan(name=prefix, partitions=3, replication=3)])
    return prefix


async def _bounce(cluster, number):
    """Kill a node and bring it back."""
    node = cluster.nodes[number % 3]
    cluster.kill_node(node)
    cluster.start_node(node, wait=False)
    await asyncio.to_thread(cluster.wait_for, node)


async def test_plain_writes_survive_every_broker(apache_kafka_3, connection, name):
    """Every append is acknowledged while brokers die in turn, and each record is in the log once, in order."""
    async with IdempotentProducer(connection, append_seconds=SECONDS) as producer:
        bouncing = asyncio.create_task(_bounces(apache_kafka_3))
        count = 0
        async with asyncio.timeout(SECONDS):
            while not bouncing.done():
                await asyncio.gather(*(producer.append(name, p, [record(f"{count}")]) for p in range(3)))
                count += 1
        await bouncing
    for partition in range(3):
        assert await values(connection, name, partition, count=count) == [str(n) for n in range(count)]


async def _bounces(cluster):
    for number in range(ROUNDS):
        await _bounce(cluster, number)


async def _holder(connection, transactional_id, name):
    """Take an id over as a shard does: what its last transaction left open has ended as it was to end."""
    while True:
        producer = TransactionalProducer(
            connection, transactional_id, own=[(name, partition) for partition in range(3)]
        )
        try:
            await producer.start()
            await producer.clear()
        except Unavailable:
            await producer.close()
        else:
            return producer


async def test_transactions_are_whole_or_doubted(apache_kafka_3, connection, prefix, name):
    """A commit that returned is readable in every partition; one in doubt is in all partitions or in none."""
    committed, doubted = [], []
    bouncing = asyncio.create_task(_bounces(apache_kafka_3))
    producer = None
    number = 0
    async with asyncio.timeout(SECONDS):
        while not bouncing.done():
            producer = producer or await _holder(connection, f"{prefix}.a", name)
            number += 1
            try:
                producer.begin()
                for partition in range(3):
                    producer.append(name, partition, [record(str(number))])
                await producer.commit()
                committed.append(str(number))
            except Doubt:
                doubted.append(str(number))
                await producer.close()
                producer = None
    await bouncing
    if producer is not None:
        await producer.close()
    heir = await _holder(connection, f"{prefix}.a", name)
    await heir.close()
    found = [await values(connection, name, partition, count=len(committed)) for partition in range(3)]
    assert found[0] == found[1] == found[2]
    assert [text for text in found[0] if text not in doubted] == committed
    assert sorted(set(found[0]), key=int) == found[0]


async def test_following_survives_every_broker(apache_kafka_3, connection, name):
    """A reader follows all partitions from leader to leader and sees every record once, in order."""
    got: dict[int, list[int]] = {0: [], 1: [], 2: []}
    written = 0

    async def write():
        nonlocal written
        bouncing = asyncio.create_task(_bounces(apache_kafka_3))
        async with IdempotentProducer(connection, append_seconds=SECONDS) as producer:
            while not bouncing.done():
                await asyncio.gather(*(producer.append(name, p, [record(f"{written}")]) for p in range(3)))
                written += 1
            await asyncio.gather(*(producer.append(name, p, [record("-1")]) for p in range(3)))
        await bouncing

    writing = asyncio.create_task(write())
    try:
        async with asyncio.timeout(SECONDS), PartitionReader(connection) as reader:
            async with aclosing(reader.follow({(name, p): 0 for p in range(3)})) as flow:
                async for batch in flow:
                    got[batch[0].partition] += [int(r.value) for r in batch]
                    if all(numbers and numbers[-1] == -1 for numbers in got.values()):
                        break
        await writing
    finally:
        writing.cancel()
        with suppress(asyncio.CancelledError):
            await writing
    assert got == {p: [*range(written), -1] for p in range(3)}
