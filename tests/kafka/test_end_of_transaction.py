"""EndTxn through a proxy on Apache Kafka: it leaves once, and silence is doubt whatever the broker did."""

import asyncio

import pytest

from actionbus.contracts.errors import Doubt
from actionbus.kafka import transaction
from actionbus.kafka.connection import Connection
from actionbus.kafka.transaction import State, TransactionalProducer
from support import deadlines, proxy
from support.topics import record, topic, values

pytestmark = [pytest.mark.kafka, pytest.mark.java]
DEADLINE = 120.0  # no test depends on speed: where a commit is to meet its deadline, the deadline is brought forward


@pytest.fixture
async def direct(apache_kafka):
    """The connection that no proxy disturbs."""
    return Connection(bootstrap_servers=apache_kafka.bootstrap)


@pytest.fixture
async def wire(apache_kafka):
    """The proxy between the producer under test and the broker."""
    async with proxy.Proxy(apache_kafka.bootstrap) as wire:
        yield wire


@pytest.fixture
async def place(direct, prefix):
    """A topic."""
    return await topic(direct, f"{prefix}.state")


@pytest.fixture
async def open_producer(wire, prefix, place):
    """A producer behind the proxy with one record appended."""
    producer = TransactionalProducer(Connection(bootstrap_servers=wire.address), f"{prefix}.a", commit_seconds=DEADLINE)
    await producer.start()
    producer.begin()
    producer.append(place, 0, [record("first")])
    yield producer
    await producer.close()


@pytest.fixture
def silence(open_producer):
    """A commit that meets its deadline once its end has come as far as is said, and not before; gives the producer."""

    async def commit(arrived):
        with deadlines.noted(DEADLINE) as noted:
            commit = asyncio.create_task(open_producer.commit())
            await arrived(proxy.END_TXN)
        deadlines.meet(noted[0])
        with pytest.raises(Doubt, match="no end within"):
            await commit
        return open_producer

    return commit


async def _heir(direct, prefix, place) -> list[str]:
    """Take the id over, commit one record, and say what is readable then."""
    heir = TransactionalProducer(direct, f"{prefix}.a")
    await heir.start()
    heir.begin()
    heir.append(place, 0, [record("heir")])
    await heir.commit()
    await heir.close()
    return await values(direct, place, last="heir")


async def test_everything_passes_through_the_proxy(wire, direct, prefix, place, open_producer):
    """Without faults a commit ends its transaction with one request, so the counts below mean something."""
    await open_producer.commit()
    assert wire.seen[proxy.ADD_PARTITIONS_TO_TXN] >= 1
    assert wire.seen[proxy.PRODUCE] >= 1  # a busy broker asks for records again
    assert wire.seen[proxy.END_TXN] == 1
    assert await _heir(direct, prefix, place) == ["first", "heir"]


async def test_a_lost_request_is_doubt_and_leaves_once(wire, direct, prefix, place, silence):
    """EndTxn that never arrives: doubt at the deadline, one copy, and the successor's start aborts it."""
    wire.rules[proxy.END_TXN] = proxy.Rule(pass_request=False)
    producer = await silence(wire.has_seen)
    assert producer.state is State.SPENT
    assert wire.seen[proxy.END_TXN] == 1
    assert await _heir(direct, prefix, place) == ["heir"]


async def test_a_lost_reply_is_doubt_although_it_was_committed(wire, direct, prefix, place, silence):
    """EndTxn whose reply never comes: doubt as well, one copy, and the records are there."""
    wire.rules[proxy.END_TXN] = proxy.Rule(pass_reply=False)
    await silence(wire.has_answered)
    assert wire.seen[proxy.END_TXN] == 1
    assert await _heir(direct, prefix, place) == ["first", "heir"]


async def test_a_cut_connection_is_doubt_at_once(wire, direct, prefix, place, open_producer):
    """A connection that breaks after EndTxn left: doubt without waiting, and no second copy on a new connection."""
    wire.rules[proxy.END_TXN] = proxy.Rule(cut_after_request=True)
    with pytest.raises(Doubt, match="EndTxnRequest"):
        await open_producer.commit()
    assert wire.seen[proxy.END_TXN] == 1
    assert (await _heir(direct, prefix, place))[-1] == "heir"
    assert wire.seen[proxy.END_TXN] == 1


async def test_a_late_copy_meets_a_new_epoch(wire, direct, prefix, place, silence):
    """The held EndTxn of a doubted transaction, delivered while the successor's is open, ends nothing."""
    wire.rules[proxy.END_TXN] = proxy.Rule(pass_request=False)
    await silence(wire.has_seen)
    async with proxy.Proxy(wire.target) as second:
        connection = Connection(bootstrap_servers=second.address)
        heir = TransactionalProducer(connection, f"{prefix}.a", commit_seconds=DEADLINE)
        await heir.start()
        second.rules[proxy.END_TXN] = proxy.Rule(gate=asyncio.Event())
        heir.begin()
        heir.append(place, 0, [record("heir")])
        commit = asyncio.create_task(heir.commit())
        await second.has_seen(proxy.END_TXN)
        reply = await wire.replay(proxy.END_TXN)
        assert int.from_bytes(reply[-2:], "big") in (47, 90)  # invalid epoch, or fenced
        second.rules[proxy.END_TXN].gate.set()
        await commit
        await heir.close()
    assert await values(direct, place, count=1) == ["heir"]


async def test_a_broken_write_is_repeated_and_counts_once(wire, direct, prefix, place, open_producer):
    """A produce request whose reply is lost with its connection is sent again, and its records are there once."""
    wire.rules[proxy.PRODUCE] = proxy.Rule(cut_after_request=True)
    commit = asyncio.create_task(open_producer.commit())
    await wire.has_seen(proxy.PRODUCE)
    wire.rules.clear()
    await commit
    assert wire.seen[proxy.PRODUCE] >= 2
    assert await _heir(direct, prefix, place) == ["first", "heir"]


async def test_a_cancelled_commit_spends_the_producer(wire, direct, prefix, place, open_producer):
    """Cancelling a commit leaves an unknown outcome behind, and the producer knows it."""
    wire.rules[proxy.END_TXN] = proxy.Rule(gate=asyncio.Event())
    commit = asyncio.create_task(open_producer.commit())
    await wire.has_seen(proxy.END_TXN)
    commit.cancel()
    with pytest.raises(asyncio.CancelledError):
        await commit
    assert open_producer.state is State.SPENT
    assert await _heir(direct, prefix, place) == ["heir"]


async def test_the_library_would_send_it_again(wire, prefix, place):
    """Why the library's own producer is not used: the same lost reply makes it send EndTxn a second time."""
    from aiokafka import AIOKafkaProducer

    theirs = AIOKafkaProducer(bootstrap_servers=wire.address, transactional_id=f"{prefix}.a")
    await theirs.start()
    await theirs.begin_transaction()
    await (await theirs.send(place, b"theirs", partition=0))
    for connected in theirs.client._conns.values():
        connected._request_timeout = 1.0
    wire.rules[proxy.END_TXN] = proxy.Rule(pass_reply=False)
    commit = asyncio.create_task(theirs.commit_transaction())
    await wire.has_answered(proxy.END_TXN)
    wire.rules.clear()
    await wire.has_seen(proxy.END_TXN, times=2)
    await commit
    await theirs.stop()


def test_the_deadline_of_a_commit_is_below_that_of_a_request():
    """Silence is noticed by the commit's deadline, before the library gives the request up."""
    from actionbus.kafka import clients

    assert clients.COMMIT_SECONDS * 1000 < clients.REQUEST_TIMEOUT_MS < clients.TRANSACTION_TIMEOUT_MS
    assert transaction.MARKERS_BACKOFF_MAX_SECONDS < clients.COMMIT_SECONDS
