"""Looking at clusters and changing topics, on both brokers."""

import pytest

from actionbus.contracts.errors import Conflict, Refused
from actionbus.kafka.admin import Admin, Committed, TopicPlan
from actionbus.kafka.group import GroupReader
from actionbus.kafka.producer import IdempotentProducer
from support.topics import record, topic


@pytest.fixture
async def admin(connection):
    """A started admin."""
    async with Admin(connection) as admin:
        yield admin


async def test_topics_are_made_and_found(admin, prefix):
    """A topic is found as it was planned, with the settings that were asked for."""
    plan = TopicPlan(
        name=f"{prefix}.state",
        partitions=3,
        replication=1,
        settings={"cleanup.policy": "compact", "segment.ms": "60000"},
    )
    await admin.create_topics([plan, TopicPlan(name=f"{prefix}.other", partitions=1)])
    found = await admin.topics(prefix)
    assert {name: facts.partitions for name, facts in found.items()} == {f"{prefix}.state": 3, f"{prefix}.other": 1}
    facts = found[f"{prefix}.state"]
    assert facts.replication == 1
    assert (facts.settings["cleanup.policy"], facts.settings["segment.ms"]) == ("compact", "60000")
    assert await admin.topics(f"{prefix}-none") == {}


async def test_settings_change_one_at_a_time(admin, prefix):
    """Changing one setting leaves the others as they were."""
    name = f"{prefix}.t"
    await admin.create_topics([TopicPlan(name=name, partitions=1, settings={"cleanup.policy": "compact"})])
    await admin.alter_topics({name: {"retention.ms": "1234567"}})
    settings = (await admin.topics(name))[name].settings
    assert (settings["retention.ms"], settings["cleanup.policy"]) == ("1234567", "compact")


async def test_what_cannot_be_made_is_refused(admin, prefix):
    """A topic that exists is a conflict; one that breaks a rule is refused by name."""
    plan = TopicPlan(name=f"{prefix}.t", partitions=1)
    await admin.create_topics([plan])
    with pytest.raises(Conflict, match="exists already"):
        await admin.create_topics([plan])
    with pytest.raises(Refused, match="creating topic"):
        await admin.create_topics([TopicPlan(name=f"{prefix}/bad name", partitions=1)])


async def test_a_deleted_topic_is_gone(admin, prefix):
    """Deleting removes the topic from the list."""
    await admin.create_topics([TopicPlan(name=f"{prefix}.t", partitions=1)])
    await admin.delete_topics([f"{prefix}.t"])
    assert await admin.topics(prefix) == {}


async def test_the_cluster_is_described(admin, broker):
    """Every broker is named with its address; Kafka says that it elects no unclean leader."""
    facts = await admin.describe_cluster()
    assert list(facts.brokers.values()) == [broker.bootstrap]
    assert facts.unclean_election in ((False,) if broker.kind == "kafka" else (False, None))


async def test_groups_are_described(admin, connection, prefix):
    """A group's members, their partitions and its offsets with their texts are all told."""
    name = await topic(connection, prefix, partitions=2)
    async with IdempotentProducer(connection) as producer:
        await producer.append(name, 0, [record("a")])
    assert await admin.members(f"{prefix}.g") == []
    assert await admin.committed(f"{prefix}.g") == {}
    async with GroupReader(connection, f"{prefix}.g", name) as reader:
        await reader.poll(timeout_ms=100)
        await reader.commit({0: Committed(offset=1, metadata="done: 3-5")})
        (member,) = await admin.members(f"{prefix}.g")
        assert member.partitions == {(name, 0), (name, 1)}
        assert member.client_id == "actionbus-tests"
    assert await admin.committed(f"{prefix}.g") == {(name, 0): Committed(offset=1, metadata="done: 3-5")}
    assert await admin.committed(f"{prefix}.g", [(name, 0), (name, 1)]) == {
        (name, 0): Committed(offset=1, metadata="done: 3-5")
    }
