"""Transactions on both brokers: all or nothing, one batch, one owner."""

import pytest

from actionbus.contracts.errors import BatchTooLarge, Doubt, Fenced, InvariantBroken, Refused
from actionbus.contracts.limits import Limits
from actionbus.kafka.connection import Connection
from actionbus.kafka.transaction import State, TransactionalProducer
from support.mutation import mutated
from support.topics import batch_sizes, record, topic, values, values_by_library


@pytest.fixture
async def places(connection, prefix):
    """Two topics of two partitions."""
    return [await topic(connection, f"{prefix}.{name}", partitions=2) for name in ("state", "events")]


@pytest.fixture
async def producer(connection, prefix):
    """A started producer."""
    producer = TransactionalProducer(connection, f"{prefix}.a")
    await producer.start()
    yield producer
    await producer.close()


async def test_commit_shows_every_partition(connection, producer, places):
    """What one commit covers is readable in all its partitions, at the offsets it returned."""
    state, events = places
    producer.begin()
    producer.append(state, 0, [record("run"), record("position")])
    producer.append(events, 1, [record("event")])
    assert await producer.commit() == {(state, 0): 0, (events, 1): 0}
    assert await values(connection, state, count=2) == ["run", "position"]
    assert await values_by_library(connection, state, count=2) == ["run", "position"]
    assert await values(connection, events, 1, count=1) == ["event"]


async def test_transactions_follow_each_other(connection, producer, places):
    """Sequence numbers go on from one transaction to the next, also past one that was abandoned."""
    for number in range(20):
        producer.begin()
        producer.append(places[0], 0, [record(str(number)), record(f"{number}'")])
        if number % 5 == 4:
            producer.abort()
        else:
            await producer.commit()
    expected = [text for n in range(20) if n % 5 != 4 for text in (str(n), f"{n}'")]
    assert await values(connection, places[0], count=len(expected)) == expected


async def test_an_append_is_one_batch(connection, producer, places):
    """Records of one append leave in one record batch, so that no tear can part them."""
    producer.begin()
    producer.append(places[0], 0, [record("x" * 1000) for _ in range(500)])
    await producer.commit()
    assert (await batch_sizes(connection, places[0]))[0] == 500


async def test_too_much_for_one_batch_is_refused_before_anything_is_sent(connection, prefix, places):
    """An append over the limit says so at once and leaves the transaction as it was."""
    producer = TransactionalProducer(connection, f"{prefix}.small", limits=Limits(batch_bytes=1000))
    await producer.start()
    producer.begin()
    producer.append(places[0], 0, [record("fits")])
    with pytest.raises(BatchTooLarge, match="do not fit one batch of 1000 bytes"):
        producer.append(places[0], 0, [record("y" * 300) for _ in range(9)])
    with pytest.raises(BatchTooLarge, match="a record of"):
        producer.append(places[0], 0, [record("y" * 1200)])
    await producer.commit()
    await producer.close()
    assert await values(connection, places[0], count=1) == ["fits"]


async def test_split_append_keeps_the_order(connection, prefix, places):
    """Topics that may split take any number of batches in one transaction, in order."""
    producer = TransactionalProducer(connection, f"{prefix}.small", limits=Limits(batch_bytes=2000))
    await producer.start()
    texts = [f"{n:03d}" + "z" * 100 for n in range(100)]
    producer.begin()
    producer.append_split(places[1], 0, [record(text) for text in texts])
    assert await producer.commit() == {(places[1], 0): 0}
    await producer.close()
    assert await values(connection, places[1], count=100) == texts
    assert len(await batch_sizes(connection, places[1])) >= 6


async def test_a_successor_fences(connection, prefix, producer, places):
    """Once a successor has started, the predecessor's commit is refused and nothing of it is readable."""
    producer.begin()
    producer.append(places[0], 0, [record("zombie")])
    successor = TransactionalProducer(connection, f"{prefix}.a")
    await successor.start()
    with pytest.raises(Fenced, match="another owner has taken over"):
        await producer.commit()
    assert producer.state is State.SPENT
    successor.begin()
    successor.append(places[0], 0, [record("heir")])
    await successor.commit()
    await successor.close()
    assert await values(connection, places[0], count=1) == ["heir"]


@pytest.mark.usefixtures("short_search")
async def test_after_doubt_nothing_goes_on(prefix, producer):
    """A producer whose outcome was unknown refuses every further call but close."""
    producer.begin()
    producer.append(f"{prefix}.nowhere", 0, [record("x")])
    with pytest.raises(Doubt, match="does not exist"):
        await producer.commit()
    with pytest.raises(InvariantBroken, match="start another"):
        producer.begin()
    await producer.close()
    await producer.close()


async def test_calls_out_of_order_are_refused(connection, producer):
    """The order of a transaction are kept, whatever the caller does."""
    with pytest.raises(InvariantBroken, match="no transaction is open"):
        producer.append("t", 0, [record("x")])
    producer.begin()
    with pytest.raises(InvariantBroken, match="a transaction is open"):
        producer.begin()
    assert await producer.commit() == {}
    with pytest.raises(InvariantBroken, match="it is not started"):
        TransactionalProducer(connection, "x").begin()


@pytest.mark.java
async def test_a_refused_batch_is_doubt(apache_kafka, prefix):
    """A batch that the broker refuses spoils the whole commit, although Kafka would commit the rest."""
    connection = Connection(bootstrap_servers=apache_kafka.bootstrap)
    good = await topic(connection, f"{prefix}.good")
    compacted = await topic(connection, f"{prefix}.compacted", **{"cleanup.policy": "compact"})
    small = await topic(connection, f"{prefix}.small", **{"max.message.bytes": "500"})
    keyless = record("no key")._replace(key=None)
    for target, bad, reason in ((compacted, keyless, "without key"), (small, record("x" * 900), "max.message.bytes")):
        producer = TransactionalProducer(connection, f"{prefix}.a")
        await producer.start()
        producer.begin()
        producer.append(good, 0, [record("with it")])
        producer.append(target, 0, [bad])
        with pytest.raises(Doubt, match=reason) as doubt:
            await producer.commit()
        assert isinstance(doubt.value.__cause__, Refused)  # unlike silence it will come back
        await producer.close()
    producer = TransactionalProducer(connection, f"{prefix}.a")
    await producer.start()
    producer.begin()
    producer.append(good, 0, [record("alone")])
    await producer.commit()
    await producer.close()
    assert await values(connection, good, count=1) == ["alone"]


@pytest.mark.java
async def test_a_commit_that_looks_at_no_answer_would_be_half_of_it(apache_kafka, prefix):
    """Kafka itself commits what it has taken, whatever it refused: only the answers to the batches say so."""
    connection = Connection(bootstrap_servers=apache_kafka.bootstrap)
    good = await topic(connection, f"{prefix}.good")
    small = await topic(connection, f"{prefix}.small", **{"max.message.bytes": "500"})
    look = ("if delivery.code in (outcomes.NONE, outcomes.DUPLICATE_SEQUENCE_NUMBER):", "if delivery.code is not None:")
    with mutated("actionbus.kafka.transaction", look) as changed:
        producer = changed.TransactionalProducer(connection, f"{prefix}.a")
        await producer.start()
        producer.begin()
        producer.append(good, 0, [record("half")])
        producer.append(small, 0, [record("x" * 900)])
        await producer.commit()
        await producer.close()
    assert await values(connection, good, count=1) == ["half"]
