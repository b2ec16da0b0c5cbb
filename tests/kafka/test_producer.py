"""Plain writes on both brokers, and their deadlines behind a proxy."""

import asyncio

import pytest

from actionbus.contracts.errors import BatchTooLarge, TopicMissing, Unavailable
from actionbus.contracts.limits import Limits
from actionbus.kafka import clients
from actionbus.kafka.connection import Connection
from actionbus.kafka.producer import IdempotentProducer
from support import proxy
from support.topics import batch_sizes, record, topic, values


async def test_order_and_offsets(connection, prefix):
    """Appends are written in order, and each future gives the offset of its first record."""
    name = await topic(connection, prefix, partitions=2)
    async with IdempotentProducer(connection) as producer:
        written = [producer.append(name, 0, [record(f"{n}"), record(f"{n}'")]) for n in range(50)]
        other = producer.append(name, 1, [record("other")])
        assert await asyncio.gather(*written) == list(range(0, 100, 2))
        assert await other == 0
        assert await producer.append(name, 0, [record("last")]) == 100
    assert await values(connection, name, count=101) == [t for n in range(50) for t in (f"{n}", f"{n}'")] + ["last"]


async def test_appends_share_a_batch(connection, prefix):
    """What is appended in one turn of the loop travels in one batch, so throughput is not one record a round trip."""
    name = await topic(connection, prefix)
    async with IdempotentProducer(connection) as producer:
        await asyncio.gather(*(producer.append(name, 0, [record(str(n))]) for n in range(1000)))
    assert await batch_sizes(connection, name) == [1000]


async def test_a_batch_keeps_its_limit(connection, prefix):
    """Batches are cut between appends, never above the limit; an append that fits none is refused at once."""
    name = await topic(connection, prefix)
    async with IdempotentProducer(connection, limits=Limits(batch_bytes=2000)) as producer:
        with pytest.raises(BatchTooLarge):
            producer.append(name, 0, [record("x" * 3000)])
        with pytest.raises(BatchTooLarge):
            producer.append(name, 0, [record("x" * 300) for _ in range(9)])
        await asyncio.gather(*(producer.append(name, 0, [record(f"{n:03d}" + "x" * 300)]) for n in range(30)))
    assert [text[:3] for text in await values(connection, name, count=30)] == [f"{n:03d}" for n in range(30)]
    assert max(await batch_sizes(connection, name)) <= 6


async def test_a_missing_topic_fails_its_future_only(connection, prefix, request):
    """A topic that does not exist fails what was meant for it; the rest is written."""
    name = await topic(connection, prefix)
    async with IdempotentProducer(connection) as producer:
        assert await producer.append(name, 0, [record("x")]) == 0
        request.getfixturevalue("short_search")
        lost = producer.append(f"{prefix}-nowhere", 0, [record("x")])
        beyond = producer.append(name, 7, [record("x")])
        assert await producer.append(name, 0, [record("y")]) == 1
        with pytest.raises(TopicMissing, match="does not exist"):
            await lost
        with pytest.raises(TopicMissing, match="has 1 partitions"):
            await beyond


async def test_close_fails_what_is_open(connection, prefix):
    """Nothing is left waiting for ever: closing answers every future."""
    name = await topic(connection, prefix)
    producer = IdempotentProducer(connection)
    await producer.start()
    written = producer.append(name, 0, [record("x")])
    await producer.close()
    with pytest.raises(Unavailable, match="closed"):
        await written
    with pytest.raises(Unavailable, match="not open"):
        producer.append(name, 0, [record("x")])


@pytest.fixture
async def wire(apache_kafka):
    """A proxy before Apache Kafka."""
    async with proxy.Proxy(apache_kafka.bootstrap) as wire:
        yield wire


@pytest.mark.java
async def test_a_lost_reply_writes_no_duplicate(apache_kafka, wire, prefix):
    """A batch that is sent again because its reply was lost is in the log once."""
    direct = Connection(bootstrap_servers=apache_kafka.bootstrap)
    name = await topic(direct, prefix)
    async with IdempotentProducer(Connection(bootstrap_servers=wire.address)) as producer:
        wire.rules[proxy.PRODUCE] = proxy.Rule(cut_after_request=True)
        written = producer.append(name, 0, [record("once")])
        await wire.has_seen(proxy.PRODUCE, times=2)
        wire.rules.clear()
        assert await written == 0
        assert await producer.append(name, 0, [record("next")]) == 1
    assert await values(direct, name, count=2) == ["once", "next"]


@pytest.mark.java
async def test_a_deadline_fails_and_the_producer_goes_on(apache_kafka, wire, prefix):
    """Silence fails the future at its deadline, with the reason; afterwards a new identity writes on, in order."""
    direct = Connection(bootstrap_servers=apache_kafka.bootstrap)
    name = await topic(direct, prefix)
    async with IdempotentProducer(Connection(bootstrap_servers=wire.address)) as producer:
        assert await producer.append(name, 0, [record("before")]) == 0
        producer._append_seconds = 1.0
        wire.rules[proxy.PRODUCE] = proxy.Rule(pass_request=False)
        late = producer.append(name, 0, [record("late")])
        with pytest.raises(Unavailable, match=r"not acknowledged within 1 s"):
            await late
        await wire.has_seen(proxy.INIT_PRODUCER_ID, times=2)
        wire.rules.clear()
        producer._append_seconds = 60.0
        await asyncio.gather(*(producer.append(name, 0, [record(str(n))]) for n in range(5)))
    assert await values(direct, name, count=6) == ["before", "0", "1", "2", "3", "4"]


@pytest.mark.java
async def test_an_expired_producer_id_is_renewed(apache_kafka, prefix):
    """A broker that no longer takes the sequence gets the records under a new identity."""
    direct = Connection(bootstrap_servers=apache_kafka.bootstrap)
    name = await topic(direct, prefix)
    async with IdempotentProducer(direct) as producer:
        await producer.append(name, 0, [record("a")])
        before = producer._identity
        producer._sequences[name, 0] = 77  # as if the broker had forgotten what came between
        assert await producer.append(name, 0, [record("b")]) == 1
        assert producer._identity != before
    assert await values(direct, name, count=2) == ["a", "b"]


def test_an_append_outlives_one_request():
    """One request may time out, and the append still has time for another."""
    assert clients.APPEND_SECONDS * 1000 >= 2 * clients.REQUEST_TIMEOUT_MS
