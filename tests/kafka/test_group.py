"""A worker's group reader on both brokers: where it begins, what it holds, what it stores."""

import asyncio
from contextlib import AsyncExitStack, suppress

import pytest

from actionbus.contracts.errors import Fenced, PositionLost, TopicMissing
from actionbus.kafka.admin import Admin, Committed
from actionbus.kafka.connection import Connection
from actionbus.kafka.group import GroupReader
from actionbus.kafka.producer import IdempotentProducer
from actionbus.kafka.rebalances import Assigned, Lost, Revoked
from support.forgetful_leader import forgetful_leader
from support.topics import record, topic

SECONDS = 240


@pytest.fixture
async def name(connection, prefix):
    """A topic of two partitions with ten records in each."""
    name = await topic(connection, prefix, partitions=2)
    await _write(connection, name, range(10))
    return name


@pytest.fixture
async def closing():
    """Closes what a test opened, also when it fails."""
    async with AsyncExitStack() as stack:
        yield stack


async def _write(connection, name, numbers):
    async with IdempotentProducer(connection) as producer:
        for partition in (0, 1):
            await producer.append(name, partition, [record(f"{partition}:{n}") for n in numbers])


async def _take(reader, count):
    """Poll until so many records came; gives them, and every change and start on the way."""
    records, changes, started = [], [], {}
    async with asyncio.timeout(SECONDS):
        while len(records) < count:
            polled = await reader.poll(timeout_ms=100)
            records += [r.value.decode() for r in polled.records]
            changes += polled.changes
            started |= polled.started
    return records, changes, started


async def test_a_new_group_reads_everything(connection, prefix, name):
    """The first member of a new group gets every partition from its oldest record on."""
    async with GroupReader(connection, f"{prefix}.g", name) as reader:
        records, changes, started = await _take(reader, 20)
    assert sorted(records) == sorted(f"{p}:{n}" for p in (0, 1) for n in range(10))
    assert changes == [Assigned(partitions=frozenset({0, 1}))]
    assert started == {0: Committed(offset=0, metadata=""), 1: Committed(offset=0, metadata="")}


async def test_it_goes_on_where_it_stopped(connection, prefix, name):
    """A later member begins at the stored offset and is given the text stored beside it."""
    async with GroupReader(connection, f"{prefix}.g", name) as reader:
        await _take(reader, 20)
        await reader.commit({0: Committed(offset=4, metadata="5,7-9"), 1: Committed(offset=10, metadata="")})
    async with GroupReader(connection, f"{prefix}.g", name) as reader:
        records, _, started = await _take(reader, 6)
    assert records == [f"0:{n}" for n in range(4, 10)]
    assert started == {0: Committed(offset=4, metadata="5,7-9"), 1: Committed(offset=10, metadata="")}


async def test_pause_stops_one_partition(connection, prefix, name):
    """A paused partition gives nothing and loses nothing; the other flows on."""
    async with GroupReader(connection, f"{prefix}.g", name) as reader:
        await _take(reader, 20)
        reader.pause([0])
        await _write(connection, name, range(10, 20))
        records, _, _ = await _take(reader, 10)
        assert records == [f"1:{n}" for n in range(10, 20)]
        assert (await reader.poll(timeout_ms=300)).records == ()
        reader.resume([0])
        records, _, _ = await _take(reader, 10)
        assert records == [f"0:{n}" for n in range(10, 20)]


async def test_pause_in_the_middle_loses_nothing(connection, prefix, name):
    """Records that were fetched but not given when the pause came are given after it, once each."""
    async with GroupReader(connection, f"{prefix}.g", name) as reader:
        await reader.poll(timeout_ms=100)
        async with asyncio.timeout(SECONDS):
            while not (first := (await reader.poll(timeout_ms=100, max_records=3)).records):
                pass
        partition = first[0].partition
        reader.pause([0, 1])
        reader.resume([1 - partition])
        other, _, _ = await _take(reader, 10)
        assert {text[0] for text in other} == {str(1 - partition)}
        reader.resume([partition])
        rest, _, _ = await _take(reader, 10 - len(first))
    assert [r.value.decode() for r in first] + rest == [f"{partition}:{n}" for n in range(10)]


async def test_a_second_member_takes_its_share(connection, broker, closing, prefix, name):
    """When a member joins, the first is told what it loses before it is told what it keeps, and may store offsets."""
    told = []

    async def before_revoke(partitions):
        told.append(partitions)
        with suppress(Fenced):
            await first.commit({p: Committed(offset=10, metadata="") for p in partitions})

    first = await closing.enter_async_context(GroupReader(connection, f"{prefix}.g", name, before_revoke=before_revoke))
    await _take(first, 20)
    second = GroupReader(connection, f"{prefix}.g", name)
    closing.push_async_callback(second.close)
    joining = asyncio.create_task(second.start())
    changes = []
    async with asyncio.timeout(SECONDS):
        while not changes or not isinstance(changes[-1], Assigned):
            changes += (await first.poll(timeout_ms=100)).changes
    await joining
    began = await second.poll(timeout_ms=100)
    kept, given = changes[-1].partitions, began.changes[-1].partitions
    assert told == [frozenset({0, 1})]
    assert changes[0] == Revoked(partitions=frozenset({0, 1}))
    assert kept | given == {0, 1}
    assert not kept & given
    # noida-db refuses offsets as soon as a rebalance has begun; Kafka takes them until it has ended.
    assert {start.offset for start in began.started.values()} == {0 if broker.kind == "embedded" else 10}
    with pytest.raises(Fenced, match="another member"):
        await first.commit({next(iter(given)): Committed(offset=10, metadata="")})


async def test_a_member_that_was_thrown_out_has_lost(connection, prefix, name):
    """A member that the group forgot is told that its partitions are lost, not revoked."""
    async with GroupReader(connection, f"{prefix}.g", name, session_timeout_ms=6_000) as reader:
        await _take(reader, 20)
        # The group forgets the member: its own leave request, sent by somebody else.
        await reader._member._coordinator._send_req(_leave(reader))
        changes = []
        async with asyncio.timeout(SECONDS):
            while len(changes) < 2:
                changes += (await reader.poll(timeout_ms=100)).changes
    assert changes == [Lost(partitions=frozenset({0, 1})), Assigned(partitions=frozenset({0, 1}))]


def _leave(reader):
    from aiokafka.protocol.group import LeaveGroupRequest

    coordinator = reader._member._coordinator
    return LeaveGroupRequest(coordinator.group_id, coordinator.member_id)


@pytest.mark.usefixtures("short_search")
async def test_a_missing_topic_is_named(connection, prefix):
    """A worker whose topic does not exist says so instead of waiting."""
    with pytest.raises(TopicMissing, match=f"{prefix}-nowhere"):
        await GroupReader(connection, f"{prefix}.g", f"{prefix}-nowhere").start()


@pytest.mark.java
@pytest.mark.parametrize("stood_at", [None, 2])
async def test_removed_records_are_not_passed_over(apache_kafka, prefix, stood_at):
    """A group that lost its offsets, or fell behind retention, is refused until somebody accepts the gap."""
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.admin.records_to_delete import RecordsToDelete
    from aiokafka.structs import TopicPartition

    connection = Connection(bootstrap_servers=apache_kafka.bootstrap)
    name = await topic(connection, prefix, partitions=2)
    await _write(connection, name, range(10))
    if stood_at is not None:
        async with GroupReader(connection, f"{prefix}.g", name) as reader:
            await _take(reader, 20)
            await reader.commit({p: Committed(offset=stood_at, metadata="") for p in (0, 1)})
    library = AIOKafkaAdminClient(bootstrap_servers=apache_kafka.bootstrap)
    await library.start()
    await library.delete_records({TopicPartition(name, 0): RecordsToDelete(before_offset=6)})
    await library.close()
    async with GroupReader(connection, f"{prefix}.g", name) as reader:
        with pytest.raises(PositionLost, match="partition 0, whose oldest record is 6"):
            await reader.poll(timeout_ms=100)
    async with GroupReader(connection, f"{prefix}.g", name, accept_gap=True) as reader:
        records, _, started = await _take(reader, 4 + 10 - (stood_at or 0))
    assert started[0].offset == 6
    assert [text for text in records if text.startswith("0:")] == [f"0:{n}" for n in range(6, 10)]


async def test_a_topic_that_ends_before_its_group_is_refused(connection, prefix, name):
    """Records that were acknowledged are gone: nobody passes over those that come in their place."""
    async with GroupReader(connection, f"{prefix}.g", name) as reader:
        await _take(reader, 20)
        await reader.commit({p: Committed(offset=12, metadata="") for p in (0, 1)})
    async with GroupReader(connection, f"{prefix}.g", name) as reader:
        with pytest.raises(PositionLost, match=r"stands at 12 .* ends at 10"):
            await reader.poll(timeout_ms=100)
    async with GroupReader(connection, f"{prefix}.g", name, accept_gap=True) as reader:
        started = {}
        while not started:
            started = dict((await reader.poll(timeout_ms=100)).started)
        assert {start.offset for start in started.values()} == {10}
        await _write(connection, name, range(10, 11))
        records, _, _ = await _take(reader, 2)
    assert sorted(records) == ["0:10", "1:10"]


async def test_nothing_is_stored_by_itself(connection, prefix, name):
    """Reading and closing stores no offset: that is the worker's decision alone."""
    async with GroupReader(connection, f"{prefix}.g", name) as reader:
        await _take(reader, 20)
    async with Admin(connection) as admin:
        assert await admin.committed(f"{prefix}.g") == {}


async def test_a_name_comes_back_to_its_share(connection, prefix, name, closing):
    """Who joins under the name of a member that fell silent has its share without waiting for it to be missed."""
    gone = await closing.enter_async_context(GroupReader(connection, f"{prefix}.g", name, instance_id="one"))
    await _take(gone, 20)
    async with (
        GroupReader(connection, f"{prefix}.g", name, instance_id="two") as other,
        asyncio.timeout(SECONDS),
    ):
        before = await asyncio.gather(_until_assigned(gone), _until_assigned(other))
        assert sorted(before[0] | before[1]) == [0, 1]
        async with GroupReader(connection, f"{prefix}.g", name, instance_id="one") as back:
            assert await _until_assigned(back) == before[0]
            assert (await other.poll(timeout_ms=500)).changes == ()


async def _until_assigned(reader):
    """Poll until the reader holds one partition; gives it."""
    held = frozenset()
    while len(held) != 1:
        for change in (await reader.poll(timeout_ms=100)).changes:
            held = change.partitions if isinstance(change, Assigned) else frozenset()
    return held


@pytest.mark.parametrize("when", ["at its start", "later"])
async def test_a_member_that_was_forgotten_joins_anew(connection, prefix, name, when, closing):
    """A leader that gives a member no assignment at all costs it a moment, and no record."""
    group = f"{prefix}.g"
    async with forgetful_leader(connection, group) as leader:
        reader = GroupReader(connection, group, name)
        closing.push_async_callback(reader.close)
        starting = asyncio.create_task(reader.start())
        if when == "later":
            await leader.meet()
            await starting
        await leader.forget()
        await leader.leave()
        await starting
        records, _, _ = await _take(reader, 20)
    assert sorted(records) == sorted(f"{p}:{n}" for p in (0, 1) for n in range(10))
