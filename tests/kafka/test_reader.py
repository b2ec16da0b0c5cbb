"""Reading partitions on both brokers: to the end, across aborted transactions, and on from there."""

import asyncio
from contextlib import aclosing

import pytest
from aiokafka import AIOKafkaProducer

from actionbus.contracts.errors import PositionLost, TopicMissing, Unavailable
from actionbus.contracts.limits import Limits
from actionbus.kafka.connection import Connection
from actionbus.kafka.producer import IdempotentProducer
from actionbus.kafka.reader import PartitionReader
from actionbus.kafka.transaction import TransactionalProducer
from support.proxy import Proxy
from support.topics import SECONDS, record, topic


@pytest.fixture
async def name(connection, prefix):
    """A topic of two partitions."""
    return await topic(connection, prefix, partitions=2)


async def _write(connection, name, texts, partition=0):
    async with IdempotentProducer(connection) as producer:
        await producer.append(name, partition, [record(text) for text in texts])


async def _aborted(connection, prefix, name, texts):
    """Write and abort, with the library, whose abort reaches the broker; return when the marker is written."""
    theirs = AIOKafkaProducer(bootstrap_servers=connection.bootstrap_servers, transactional_id=f"{prefix}.theirs")
    await theirs.start()
    await theirs.begin_transaction()
    for text in texts:
        await (await theirs.send(name, text.encode(), partition=0))
    await theirs.abort_transaction()
    await theirs.stop()
    heir = TransactionalProducer(connection, f"{prefix}.theirs")  # its start waits for the abort to end
    await heir.start()
    await heir.close()


async def _read(reader, *place, **range_):
    return [r async for batch in reader.read_to_end(*place, **range_) for r in batch]


async def test_an_empty_partition_ends_at_once(connection, name):
    """Reading what holds nothing gives nothing, and ends."""
    async with PartitionReader(connection) as reader:
        assert await _read(reader, name, 0) == []
        assert (await reader.earliest(name, 0), await reader.end(name, 0)) == (0, 0)


async def test_records_come_as_they_were_written(connection, name):
    """Key, value, headers and place survive; a null key and a null value stay null."""
    written = [
        record(
            "v", key="k", headers=(("ce_id", b"1"), ("ce_id", b"2"), ("empty", b"")), timestamp_ms=1_700_000_000_000
        ),
        record("second"),
    ]
    async with IdempotentProducer(connection) as producer:
        await producer.append(name, 1, written)
    async with PartitionReader(connection) as reader:
        found = await _read(reader, name, 1)
    assert [(r.topic, r.partition, r.offset) for r in found] == [(name, 1, 0), (name, 1, 1)]
    assert found[0].headers == written[0].headers
    assert (found[0].key, found[0].value, found[0].timestamp_ms) == (b"k", b"v", 1_700_000_000_000)


async def test_ranges(connection, name):
    """A start inside a batch and an end inside a batch are kept to the record."""
    await _write(connection, name, [str(n) for n in range(100)])
    async with PartitionReader(connection) as reader:
        assert [r.offset for r in await _read(reader, name, 0, start=17, end=42)] == list(range(17, 42))
        assert [r.offset for r in await _read(reader, name, 0, start=100)] == []


async def test_many_fetches(connection, name):
    """More than one fetch can hold is read whole, each record once."""
    texts = [f"{n:05d}" + "x" * 500 for n in range(2000)]
    async with IdempotentProducer(connection, limits=Limits(batch_bytes=20_000)) as producer:
        await asyncio.gather(*(producer.append(name, 0, [record(text)]) for text in texts))
    async with PartitionReader(connection, limits=Limits(fetch_bytes=50_000)) as reader:
        assert [r.value.decode() for r in await _read(reader, name, 0)] == texts


async def test_a_tail_of_aborted_records_ends(connection, prefix, name):
    """A partition that ends in aborted records and markers is read to its end without them."""
    await _write(connection, name, ["a", "b"])
    await _aborted(connection, prefix, name, ["x", "y", "z"])
    async with asyncio.timeout(SECONDS), PartitionReader(connection) as reader:
        assert [r.value for r in await _read(reader, name, 0)] == [b"a", b"b"]
        assert await reader.end(name, 0) >= 6
    async with PartitionReader(connection, isolation="read_uncommitted") as reader:
        assert [r.value for r in await _read(reader, name, 0)] == [b"a", b"b", b"x", b"y", b"z"]


async def test_committed_and_aborted_are_told_apart(connection, prefix, name):
    """Aborted transactions between committed ones of the same and of other producers stay hidden, from any start."""
    for turn in range(3):
        await _aborted(connection, prefix, name, [f"bad-{turn}"] * 2)
        producer = TransactionalProducer(connection, f"{prefix}.theirs")
        await producer.start()
        producer.begin()
        producer.append(name, 0, [record(f"good-{turn}")])
        await producer.commit()
        await producer.close()
        await _write(connection, name, [f"plain-{turn}"])
    heir = TransactionalProducer(connection, f"{prefix}.theirs")
    await heir.start()
    await heir.close()
    expected = [f"{kind}-{turn}" for turn in range(3) for kind in ("good", "plain")]
    async with PartitionReader(connection) as reader:
        found = await _read(reader, name, 0)
        assert [r.value.decode() for r in found] == expected
        for start in range(await reader.end(name, 0)):
            rest = [r.value.decode() for r in found if r.offset >= start]
            assert [r.value.decode() for r in await _read(reader, name, 0, start=start)] == rest


async def test_an_open_transaction_bounds_the_end(connection, prefix, name):
    """The end for committed readers stands before an open transaction, and reading stops there."""
    await _write(connection, name, ["a"])
    theirs = AIOKafkaProducer(bootstrap_servers=connection.bootstrap_servers, transactional_id=f"{prefix}.open")
    await theirs.start()
    await theirs.begin_transaction()
    await (await theirs.send(name, b"open", partition=0))
    await _write(connection, name, ["after"])
    async with PartitionReader(connection) as reader:
        assert await reader.end(name, 0) == 1
        assert [r.value for r in await _read(reader, name, 0)] == [b"a"]
    await theirs.abort_transaction()
    await theirs.stop()


async def test_follow_goes_on_for_ever(connection, name):
    """Following gives what is there and what comes, from several partitions, each in order."""
    await _write(connection, name, ["0", "1"])
    got: dict[int, list[str]] = {0: [], 1: []}
    async with PartitionReader(connection) as reader, asyncio.timeout(SECONDS):
        async with aclosing(reader.follow({(name, 0): 1, (name, 1): 0})) as flow:
            more = asyncio.create_task(_trickle(connection, name))
            async for batch in flow:
                assert len({r.partition for r in batch}) == 1
                got[batch[0].partition] += [r.value.decode() for r in batch]
                if len(got[0]) == 11 and len(got[1]) == 10:
                    break
            await more
    assert got == {0: ["1"] + [f"p0-{n}" for n in range(10)], 1: [f"p1-{n}" for n in range(10)]}


async def _trickle(connection, name):
    async with IdempotentProducer(connection) as producer:
        for n in range(10):
            await producer.append(name, 0, [record(f"p0-{n}")])
            await producer.append(name, 1, [record(f"p1-{n}")])


async def test_a_position_beyond_the_log_is_refused(connection, name):
    """A position that the log never had is an error with the log's range in it, not a silent reset."""
    await _write(connection, name, ["a"])
    async with PartitionReader(connection) as reader:
        with pytest.raises(PositionLost, match="the log holds 0 to 1"):
            async for _ in reader.follow({(name, 0): 5}):
                pass


@pytest.mark.java
async def test_a_position_below_the_log_is_refused(apache_kafka, prefix):
    """A position that retention has removed stops the reader, from the start and in the middle."""
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.admin.records_to_delete import RecordsToDelete
    from aiokafka.structs import TopicPartition

    connection = Connection(bootstrap_servers=apache_kafka.bootstrap)
    name = await topic(connection, prefix)
    await _write(connection, name, [str(n) for n in range(10)])
    library = AIOKafkaAdminClient(bootstrap_servers=apache_kafka.bootstrap)
    await library.start()
    await library.delete_records({TopicPartition(name, 0): RecordsToDelete(before_offset=6)})
    await library.close()
    async with PartitionReader(connection) as reader:
        assert await reader.earliest(name, 0) == 6
        assert [r.offset for r in await _read(reader, name, 0)] == [6, 7, 8, 9]
        with pytest.raises(PositionLost, match="at 3: the log holds 6 to 10"):
            await _read(reader, name, 0, start=3)
        with pytest.raises(PositionLost, match="at 3: the log holds 6 to 10"):
            async for _ in reader.follow({(name, 0): 3}):
                pass


@pytest.mark.usefixtures("short_search")
async def test_a_missing_topic_is_named(connection, prefix):
    """A topic that does not exist is an error that names it, and is not made by asking."""
    async with PartitionReader(connection) as reader:
        for _ in range(2):
            with pytest.raises(TopicMissing, match=f"{prefix}-nowhere"):
                await reader.earliest(f"{prefix}-nowhere", 0)


@pytest.mark.usefixtures("short_search")
async def test_silence_says_nothing_of_a_topic(connection, prefix, monkeypatch):
    """While brokers do not answer nobody knows what is there: that passes, and is no missing topic."""
    monkeypatch.setattr("actionbus.kafka.cluster.SILENCE_SECONDS", 0.2)
    monkeypatch.setattr("actionbus.kafka.reader.PROGRESS_SECONDS", 2.0)
    async with Proxy(connection.bootstrap_servers) as wire:
        async with PartitionReader(Connection(bootstrap_servers=wire.address, client_id="silence")) as reader:
            wire.weather.replies.clear()
            with pytest.raises(Unavailable, match=f"{prefix}-nowhere"):
                await reader.end(f"{prefix}-nowhere", 0)
            wire.weather.replies.set()


@pytest.mark.java
async def test_following_survives_a_restart(tmp_path, prefix):
    """A broker that is killed and comes back is waited for, and no record is missed or repeated."""
    from support import apache_kafka as kafka_process

    with kafka_process.running(tmp_path) as cluster:
        connection = Connection(bootstrap_servers=cluster.bootstrap)
        name = await topic(connection, prefix)
        await _write(connection, name, ["a"])
        got: list[str] = []
        async with PartitionReader(connection) as reader, asyncio.timeout(SECONDS):
            async with aclosing(reader.follow({(name, 0): 0})) as flow:
                async for batch in flow:
                    got += [r.value.decode() for r in batch]
                    if got == ["a"]:
                        cluster.kill_node(cluster.nodes[0])
                        cluster.start_node(cluster.nodes[0], wait=False)
                        await asyncio.to_thread(cluster.wait_for, cluster.nodes[0])
                        await _write(connection, name, ["b"])
                    if got[-1] == "b":
                        break
        assert got == ["a", "b"]


async def test_the_ends_of_many_are_one_question(connection, prefix, name):
    """All partitions are answered together; an open transaction parts what is written from what may be read."""
    await _write(connection, name, ["a", "b"])
    open_ = AIOKafkaProducer(bootstrap_servers=connection.bootstrap_servers, transactional_id=f"{prefix}.open")
    await open_.start()
    await open_.begin_transaction()
    await (await open_.send(name, b"c", partition=0))
    async with PartitionReader(connection) as reader:
        places = [(name, 0), (name, 1)]
        assert await reader.ends(places) == {(name, 0): 2, (name, 1): 0}
        assert await reader.ends(places, committed=False) == {(name, 0): 3, (name, 1): 0}
    await open_.abort_transaction()
    await open_.stop()


async def test_when_a_record_was_written_is_looked_up(connection, prefix, name):
    """The time of the first record from an offset on; markers and aborted records are nothing."""
    async with PartitionReader(connection) as reader:
        await _write(connection, name, ["a", "b"])
        records = await _read(reader, name, 0)
        assert [await reader.written_at(name, 0, each.offset, 2) for each in records] == [
            each.timestamp_ms for each in records
        ]
        assert await reader.written_at(name, 0, 2, 2) is None
        await _aborted(connection, prefix, name, ["c", "d"])
        end = await reader.end(name, 0)
        assert end > 2
        assert await reader.written_at(name, 0, 2, end) is None


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_what_other_producers_compress_is_read(connection, prefix, codec):
    """Whoever writes to our topics chooses the compression; without its codec one batch would stop every reader."""
    name = await topic(connection, prefix)
    async with AIOKafkaProducer(bootstrap_servers=connection.bootstrap_servers, compression_type=codec) as producer:
        for number in range(3):
            await producer.send_and_wait(name, f"value {number} ".encode() * 100, partition=0)
    async with PartitionReader(connection) as reader:
        found = [record.value async for page in reader.read_to_end(name, 0) for record in page]
    assert found == [f"value {number} ".encode() * 100 for number in range(3)]
