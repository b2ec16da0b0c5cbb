"""The log of a shard on real brokers: what the protocol's tests on Kafka do not touch."""

import pytest

from actionbus.contracts.limits import Limits
from actionbus.contracts.records import OutRecord
from actionbus.contracts.topics import Topics
from actionbus.kafka.connection import Connection
from actionbus.kafka.reader import PartitionReader
from actionbus.orchestrator import kafka_log
from actionbus.orchestrator.kafka_log import KafkaLog
from support.topics import topic

pytestmark = pytest.mark.kafka


@pytest.fixture
async def log(connection: Connection, prefix: str):
    """A log with small batches."""
    async with KafkaLog(connection, Topics(prefix), Limits(batch_bytes=10_000)) as log:
        yield log


async def test_commands_that_fill_many_batches_arrive_in_order(log: KafkaLog, connection: Connection, prefix: str):
    """One future says that all of them are acknowledged."""
    name = await topic(connection, f"{prefix}.commands")
    records = [OutRecord(key=b"k", value=f"{number:04}".encode() * 250) for number in range(100)]
    first = await log.publish(name, 0, records)
    async with PartitionReader(connection) as reader:
        found = [each async for batch in reader.read_to_end(name, 0) for each in batch]
    assert [each.value for each in found] == [each.value for each in records]
    assert found[0].offset == first


async def test_a_missing_topic_is_said_to_be_missing(log: KafkaLog, connection: Connection, prefix: str, monkeypatch):
    """It is looked for no longer than that, and a topic that is there has its partitions."""
    name = await topic(connection, f"{prefix}.there", partitions=3)
    monkeypatch.setattr(kafka_log, "TOPIC_SECONDS", 60.0)
    assert await log.partitions(name) == 3
    monkeypatch.setattr(kafka_log, "TOPIC_SECONDS", 0.2)
    assert await log.partitions(f"{prefix}.not-there") is None


async def test_a_group_has_passed_what_lies_below_its_offset(log: KafkaLog, connection: Connection, prefix: str):
    """Records written before a time are passed once the group's offset is beyond them; later ones do not count."""
    from aiokafka import AIOKafkaConsumer
    from aiokafka.structs import TopicPartition

    name = await topic(connection, f"{prefix}.commands", **{"message.timestamp.type": "LogAppendTime"})
    group = f"{prefix}.workers"
    await log.publish(name, 0, [OutRecord(key=b"k", value=b"1"), OutRecord(key=b"k", value=b"2")])
    async with PartitionReader(connection) as reader:
        (written,) = {each.timestamp_ms async for batch in reader.read_to_end(name, 0) for each in batch}
    assert not await log.passed(group, name, 0, written + 1)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=connection.bootstrap_servers, group_id=group, enable_auto_commit=False
    )
    await consumer.start()
    consumer.assign([TopicPartition(name, 0)])
    await consumer.commit({TopicPartition(name, 0): 1})
    assert not await log.passed(group, name, 0, written + 1)
    assert await log.passed(group, name, 0, written)
    await consumer.commit({TopicPartition(name, 0): 2})
    assert await log.passed(group, name, 0, written + 1)
    await consumer.stop()
