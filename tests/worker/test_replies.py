"""Results on their way out: together when they can be, again when they must be, and never given up."""

import pytest

from actionbus.contracts.limits import DEFAULT_LIMITS
from actionbus.contracts.records import OutRecord
from actionbus.kafka.producer import IdempotentProducer
from actionbus.worker import replies as module
from actionbus.worker.replies import Replies, Reply
from support.topics import batch_sizes, topic, values
from worker.station import until


@pytest.fixture
async def producer(connection):
    """A producer on the broker."""
    async with IdempotentProducer(connection) as opened:
        yield opened


def reply(text, told, **rest):
    """A reply that says when it is settled."""
    return Reply(record=OutRecord(key=b"k", value=text.encode()), settled=lambda: told.append(text), **rest)


async def test_replies_of_one_moment_share_a_batch(connection, prefix, producer):
    """A hundred results that are ready at once are one record batch, in their order."""
    name, told = await topic(connection, prefix), []
    replies = Replies(producer, DEFAULT_LIMITS)
    for n in range(100):
        replies.send((name, 0), reply(str(n), told))
    assert told == []
    await replies.drain()
    assert told == [str(n) for n in range(100)]
    assert await values(connection, name, count=100) == told
    assert await batch_sizes(connection, name) == [100]


async def test_more_than_a_batch_is_several(connection, prefix, producer):
    """What does not fit one record batch is written as several, complete and in order."""
    name, told = await topic(connection, prefix), []
    replies = Replies(producer, DEFAULT_LIMITS)
    for n in range(12):
        replies.send((name, 0), reply(f"{n}:" + "x" * 300_000, told))
    await replies.drain()
    assert await values(connection, name, count=12) == told
    assert len(told) == 12


async def test_a_reply_waits_for_its_topic(connection, prefix, producer, monkeypatch):
    """A topic that is not there, or may not be written, is trouble that shows; the reply is written when it can be."""
    monkeypatch.setattr(module, "BACKOFF_CAP_SECONDS", 0.5)
    told = []
    replies = Replies(producer, DEFAULT_LIMITS)
    with monkeypatch.context() as hasty:
        hasty.setattr("actionbus.kafka.cluster.TOPIC_SECONDS", 0.2)
        replies.send((prefix, 0), reply("late", told))
        await until(lambda: replies.trouble)
    assert (told, replies.outstanding) == ([], 1)
    await topic(connection, prefix)
    await replies.drain()
    assert (told, replies.trouble) == (["late"], None)
    assert await values(connection, prefix) == ["late"]


@pytest.mark.java
async def test_a_reply_the_topic_does_not_take_is_said_so(apache_kafka, prefix):
    """When the topic's own limit refuses one of several results, that one is told, and the others are written."""
    from actionbus.kafka.connection import Connection

    connection = Connection(bootstrap_servers=apache_kafka.bootstrap, client_id="test")
    name, told = await topic(connection, prefix, **{"max.message.bytes": "50000"}), []
    async with IdempotentProducer(connection) as producer:
        replies = Replies(producer, DEFAULT_LIMITS)
        replies.send((name, 0), reply("small", told))
        replies.send((name, 0), reply("x" * 60_000, told, too_large=lambda: told.append("too large")))
        replies.send((name, 0), reply("other", told))
        await replies.drain()
    assert sorted(told) == ["other", "small", "too large"]
    assert sorted(await values(connection, name, count=2)) == ["other", "small"]
