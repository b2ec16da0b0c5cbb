"""Topics are made as the catalogue says, put right where that is safe, and refused where only a person can decide."""

import asyncio
from dataclasses import replace

import pytest

from actionbus.contracts.definitions import ActionSpec
from actionbus.contracts.errors import Conflict
from actionbus.contracts.topics import Topics, catalogue
from actionbus.kafka.admin import Admin, TopicFacts, TopicPlan
from actionbus.kafka.connection import Connection
from actionbus.provisioner import topics

MAIL = ActionSpec(id="send-mail")
WANTED = topics.Wanted(prefix="shop", actions=[MAIL], shards=4, action_partitions=3, replication=3)
NAMES = Topics("shop")


def _as_planned(wanted: topics.Wanted, brokers: int = 3) -> dict[str, TopicFacts]:
    """The topics that a cluster has once everything was made."""
    plans = topics.compare(wanted, {}, brokers).create
    return {
        plan.name: TopicFacts(
            name=plan.name, partitions=plan.partitions, replication=plan.replication, settings=dict(plan.settings)
        )
        for plan in plans
    }


def test_an_empty_cluster_gets_every_topic_of_the_catalogue() -> None:
    """Every entry of the catalogue is made, once, or once for each action."""
    plans = {plan.name: plan for plan in topics.compare(WANTED, {}, brokers=3).create}
    assert len(plans) == len(catalogue().topics)
    assert plans[NAMES.requests].partitions == plans[NAMES.state].partitions == 4
    assert plans[NAMES.commands("send-mail")].partitions == 3
    assert plans[NAMES.definitions].partitions == 1
    assert plans[NAMES.state].settings["cleanup.policy"] == "compact"


@pytest.mark.parametrize(("brokers", "copies", "agreeing"), [(1, 1, "1"), (2, 2, "1"), (3, 3, "2"), (9, 3, "2")])
def test_copies_follow_the_size_of_the_cluster(brokers: int, copies: int, agreeing: str) -> None:
    """Three copies of which two must agree where there are three brokers; fewer where there are fewer."""
    for plan in topics.compare(WANTED, {}, brokers=brokers).create:
        assert (plan.replication, plan.settings[topics.MIN_INSYNC]) == (copies, agreeing)
        assert plan.settings[topics.UNCLEAN] == "false"


def test_what_is_as_planned_is_left_alone() -> None:
    """A second look at a cluster that was provisioned finds nothing to do."""
    comparison = topics.compare(WANTED, _as_planned(WANTED), brokers=3)
    assert comparison.done
    assert len(comparison.unchanged) == len(catalogue().topics)


def test_a_setting_that_was_changed_is_put_back() -> None:
    """A setting that differs from the catalogue is found with both its values."""
    found = _as_planned(WANTED)
    found[NAMES.state] = replace(
        found[NAMES.state], settings=found[NAMES.state].settings | {"cleanup.policy": "delete"}
    )
    (change,) = topics.compare(WANTED, found, brokers=3).alter
    assert (change.topic, change.name, change.found, change.wanted) == (
        NAMES.state,
        "cleanup.policy",
        "delete",
        "compact",
    )


def test_settings_beyond_the_catalogue_are_left_alone() -> None:
    """What the catalogue does not speak of is the operator's."""
    found = _as_planned(WANTED)
    found[NAMES.events] = replace(found[NAMES.events], settings=found[NAMES.events].settings | {"segment.bytes": "1"})
    assert topics.compare(WANTED, found, brokers=3).done


def test_another_number_of_shards_is_refused_with_the_way_out() -> None:
    """Partitions of an existing installation never change: the refusal names the setting that fits."""
    comparison = topics.compare(replace(WANTED, shards=8), _as_planned(WANTED), brokers=3)
    refused = {each.topic: each.reason for each in comparison.refused}
    assert set(refused) == {NAMES.requests, NAMES.results, NAMES.state, NAMES.events, NAMES.dead_letters}
    assert "ACTIONBUS_TOPICS_SHARDS=4" in refused[NAMES.state]


def test_a_topic_that_must_have_one_partition_is_refused_with_two() -> None:
    """Definitions are read from one partition, so more of them are refused."""
    found = _as_planned(WANTED)
    found[NAMES.definitions] = replace(found[NAMES.definitions], partitions=2)
    (refused,) = topics.compare(WANTED, found, brokers=3).refused
    assert refused.topic == NAMES.definitions


def test_an_action_may_have_more_partitions_than_it_was_made_with() -> None:
    """A hot action was given more partitions by its operator, and keeps them."""
    found = _as_planned(WANTED)
    name = NAMES.commands("send-mail")
    found[name] = replace(found[name], partitions=24)
    assert topics.compare(WANTED, found, brokers=3).done


def test_fewer_copies_that_were_chosen_by_hand_are_left_alone() -> None:
    """A topic with other copies than asked for keeps them, and the number that must agree."""
    comparison = topics.compare(WANTED, _as_planned(replace(WANTED, replication=1)), brokers=3)
    assert comparison.done


def test_topics_of_actions_that_were_not_named_are_shown() -> None:
    """What nobody named is shown as unused and not touched: its records may still be wanted."""
    comparison = topics.compare(replace(WANTED, actions=[]), _as_planned(WANTED), brokers=3)
    assert comparison.done
    assert set(comparison.unused) == {NAMES.commands("send-mail"), NAMES.action_dead_letters("send-mail")}


@pytest.mark.parametrize(
    ("target", "hint"), [("mails", "does not exist"), ("shop.workflow.events.v1", "belong to actionbus")]
)
def test_a_bad_emit_target_is_refused_before_a_run_meets_it(target: str, hint: str) -> None:
    """An action that emits to a topic that is missing, or is ours, is refused with the reason."""
    wanted = replace(WANTED, actions=[ActionSpec(id="send-mail", emits=(target,))])
    (refused,) = topics.compare(wanted, _as_planned(WANTED), brokers=3).refused
    assert refused.topic == target
    assert hint in refused.reason


async def _until(admin: Admin, wanted: topics.Wanted, changes: list[str]) -> topics.Comparison:
    """The comparison once it finds just these settings changed: brokers learn of a change one after the other."""
    async with asyncio.timeout(60):
        while True:
            comparison = await topics.look(admin, wanted)
            if [change.name for change in comparison.alter] == changes:
                return comparison
            await asyncio.sleep(0.05)


async def _look(connection: Connection, wanted: topics.Wanted) -> topics.Comparison:
    async with Admin(connection) as admin:
        return await topics.look(admin, wanted)


async def test_topics_are_made_and_nothing_is_left_to_do(connection: Connection, prefix: str) -> None:
    """On a real broker: everything is created with its partitions, and a second look finds nothing to do."""
    wanted = replace(WANTED, prefix=prefix)
    async with Admin(connection) as admin:
        await topics.apply(admin, await topics.look(admin, wanted))
        found = await admin.topics(f"{prefix}.")
    assert found[Topics(prefix).requests].partitions == 4
    assert found[Topics(prefix).commands("send-mail")].partitions == 3
    assert (await _look(connection, wanted)).done


async def test_emit_targets_are_looked_up(connection: Connection, prefix: str) -> None:
    """On a real broker: a target outside the prefix is refused until its owner makes it."""
    target = f"user-{prefix}-mails"
    wanted = replace(WANTED, prefix=prefix, actions=[ActionSpec(id="send-mail", emits=(target,))])
    assert [each.topic for each in (await _look(connection, wanted)).refused] == [target]
    async with Admin(connection) as admin:
        await admin.create_topics([TopicPlan(name=target, partitions=1)])
    assert not (await _look(connection, wanted)).refused


@pytest.mark.java
@pytest.mark.kafka
async def test_a_setting_is_put_back_on_kafka(apache_kafka, prefix: str) -> None:
    """On Apache Kafka: a setting that somebody changed is altered to what the catalogue says, others stay."""
    wanted = replace(WANTED, prefix=prefix)
    name = Topics(prefix).state
    async with Admin(Connection(bootstrap_servers=apache_kafka.bootstrap)) as admin:
        await topics.apply(admin, await topics.look(admin, wanted))
        await admin.alter_topics({name: {"min.cleanable.dirty.ratio": "0.9", "segment.bytes": "1048576"}})
        comparison = await _until(admin, wanted, ["min.cleanable.dirty.ratio"])
        assert (comparison.alter[0].topic, comparison.alter[0].found) == (name, "0.9")
        await topics.apply(admin, comparison)
        assert (await _until(admin, wanted, [])).done
        assert (await admin.topics(name))[name].settings["segment.bytes"] == "1048576"


async def test_nothing_is_done_when_something_is_refused(connection: Connection, prefix: str) -> None:
    """On a real broker: with one refusal, apply raises with the reason and creates nothing."""
    async with Admin(connection) as admin:
        await admin.create_topics([TopicPlan(name=Topics(prefix).requests, partitions=2)])
        comparison = await topics.look(admin, replace(WANTED, prefix=prefix))
        with pytest.raises(Conflict, match="ACTIONBUS_TOPICS_SHARDS=2"):
            await topics.apply(admin, comparison)
        assert set(await admin.topics(f"{prefix}.")) == {Topics(prefix).requests}
