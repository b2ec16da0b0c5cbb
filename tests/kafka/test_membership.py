"""Who owns which shard, as a group says it, on both brokers."""

import asyncio

import pytest

from actionbus.contracts.errors import TopicMissing
from actionbus.kafka.admin import Admin
from actionbus.kafka.connection import Connection
from actionbus.kafka.membership import Membership
from actionbus.kafka.producer import IdempotentProducer
from actionbus.kafka.rebalances import Assigned, Revoked
from support import proxy
from support.forgetful_leader import forgetful_leader
from support.topics import record, topic

SECONDS = 240


@pytest.fixture
async def name(connection, prefix):
    """A topic of four partitions."""
    return await topic(connection, prefix, partitions=4)


async def _next(member):
    async with asyncio.timeout(SECONDS):
        return await member.events.get()


async def _settled(*members):
    """The partitions of every member, once all four have one owner."""
    held = [frozenset() for _ in members]
    async with asyncio.timeout(SECONDS):
        while sorted(p for partitions in held for p in partitions) != [0, 1, 2, 3] or not all(held):
            for index, member in enumerate(members):
                try:
                    event = await asyncio.wait_for(member.events.get(), 0.1)
                except TimeoutError:
                    continue
                held[index] = event.partitions if isinstance(event, Assigned) else frozenset()
    return held


async def test_one_member_owns_all(connection, prefix, name):
    """A single member is assigned every partition."""
    async with Membership(connection, f"{prefix}.g", name) as member:
        assert await _next(member) == Assigned(partitions=frozenset(range(4)))


async def test_two_members_share_in_ranges(connection, prefix, name):
    """A second member takes a contiguous half, and the first was told before that it loses everything."""
    async with Membership(connection, f"{prefix}.g", name) as first:
        assert await _next(first) == Assigned(partitions=frozenset(range(4)))
        async with Membership(connection, f"{prefix}.g", name) as second:
            assert await _next(first) == Revoked(partitions=frozenset(range(4)))
            held = await _settled(first, second)
            assert {tuple(sorted(partitions)) for partitions in held} == {(0, 1), (2, 3)}
        assert isinstance(await _next(first), Revoked)
        assert await _next(first) == Assigned(partitions=frozenset(range(4)))


async def test_leaving_is_quick(connection, prefix, name):
    """A member that closes leaves the group, so that nobody waits for its session to end."""
    async with Membership(connection, f"{prefix}.g", name) as member:
        await _next(member)
    async with Admin(connection) as admin:
        assert await admin.members(f"{prefix}.g") == []


@pytest.mark.java
async def test_a_static_member_keeps_its_partitions(apache_kafka, prefix):
    """A static member that closes stays in the group until its session ends, and comes back to the same partitions."""
    connection = Connection(bootstrap_servers=apache_kafka.bootstrap)
    name = await topic(connection, prefix, partitions=4)
    member = Membership(connection, f"{prefix}.g", name, instance_id="pod-0", session_timeout_ms=60_000)
    await member.start()
    await _next(member)
    await member.close()
    async with Admin(connection) as admin:
        assert len(await admin.members(f"{prefix}.g")) == 1
    async with Membership(connection, f"{prefix}.g", name, instance_id="pod-0", session_timeout_ms=60_000) as again:
        assert await _next(again) == Assigned(partitions=frozenset(range(4)))


@pytest.mark.java
async def test_it_reads_no_record(apache_kafka, prefix):
    """A member asks the broker for no record at all, however many there are."""
    direct = Connection(bootstrap_servers=apache_kafka.bootstrap)
    name = await topic(direct, prefix, partitions=4)
    async with IdempotentProducer(direct) as producer:
        await asyncio.gather(*(producer.append(name, p, [record("x" * 1000)] * 100) for p in range(4)))
    async with proxy.Proxy(apache_kafka.bootstrap) as wire:
        async with Membership(Connection(bootstrap_servers=wire.address), f"{prefix}.g", name) as member:
            await _next(member)
            await wire.has_seen(proxy.HEARTBEAT, times=3)
            assert wire.seen[proxy.FETCH] == 0


@pytest.mark.usefixtures("short_search")
async def test_a_missing_topic_is_named(connection, prefix):
    """An orchestrator whose topic does not exist says so instead of waiting."""
    with pytest.raises(TopicMissing, match=f"{prefix}-nowhere"):
        await Membership(connection, f"{prefix}.g", f"{prefix}-nowhere").start()


async def test_a_member_that_was_forgotten_joins_anew(connection, prefix, name):
    """A leader that gives a member no assignment at all costs it a moment, not its life."""
    group = f"{prefix}.g"
    async with forgetful_leader(connection, group) as leader, Membership(connection, group, name) as member:
        await leader.forget()
        await leader.leave()
        assert await _next(member) == Assigned(partitions=frozenset(range(4)))
