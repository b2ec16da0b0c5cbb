"""The catalogue of topics holds everything the code names, with settings Kafka takes."""

import re

import pytest

from actionbus.contracts import schemas, topics
from actionbus.contracts.topics import TopicRole, Topics, TopicSpec

SPECS = pytest.mark.parametrize("spec", topics.catalogue().topics, ids=lambda spec: spec.role.value)
LEGAL = re.compile(r"[a-zA-Z0-9._-]{1,249}")


def test_every_role_has_one_topic() -> None:
    """What the code calls by a role stands in the catalogue exactly once."""
    assert sorted(spec.role for spec in topics.catalogue().topics) == sorted(TopicRole)


@SPECS
def test_a_topic_has_a_legal_name_whatever_the_prefix_and_action(spec: TopicSpec) -> None:
    """With the longest prefix and action id a name is still one that Kafka takes; it begins with the prefix."""
    name = spec.name.format(prefix="p" * 100, action="a" * 100)
    assert LEGAL.fullmatch(name)
    assert name.startswith("p" * 100 + ".")
    assert "_" not in spec.name


@SPECS
def test_a_topic_names_its_schema(spec: TopicSpec) -> None:
    """The record of a topic is one of the schemas, or none where bytes lie as they were found."""
    assert spec.record is None or spec.record in {model.__name__ for model in schemas.MODELS}


@SPECS
def test_the_broker_s_clock_dates_every_record(spec: TopicSpec) -> None:
    """A producer whose clock is wrong can neither lose records to retention nor be refused."""
    assert spec.config["message.timestamp.type"] == "LogAppendTime"


@SPECS
def test_retention_is_always_said(spec: TopicSpec) -> None:
    """A topic is compacted, or deletes after a time that is stated; never by a broker's default."""
    policy = spec.config["cleanup.policy"]
    assert policy in {"delete", "compact"}
    assert (policy == "delete") == ("retention.ms" in spec.config)


def test_a_slow_reader_of_state_still_meets_tombstones() -> None:
    """Tombstones of the state topic outlive the longest restore, so a forgotten run never comes back."""
    assert int(topics.catalogue().spec(TopicRole.STATE).config["delete.retention.ms"]) >= 86_400_000


def test_names_are_those_of_the_catalogue() -> None:
    """An installation's names are the catalogue's, with its prefix."""
    mine = Topics("shop")
    assert mine.requests == "shop.workflow.requests.v1"
    assert mine.commands("send-mail") == "shop.action.send-mail.commands.v1"
    assert mine.action_dead_letters("send-mail") == "shop.action.send-mail.dead-letters.v1"
    named = {mine.requests, mine.results, mine.state, mine.events, mine.definitions, mine.dead_letters, mine.control}
    named |= {mine.commands("a"), mine.action_dead_letters("a")}
    assert named == {spec.name.format(prefix="shop", action="a") for spec in topics.catalogue().topics}


def test_two_installations_share_a_cluster() -> None:
    """Topics, groups and transactional ids of two prefixes are all different, also when one begins with the other."""
    first, second = Topics("shop"), Topics("shop-2")
    for mine, other in ((first, second), (second, first)):
        assert mine.owns(mine.events)
        assert not mine.owns(other.events)
    assert first.orchestrator_group != second.orchestrator_group
    assert first.worker_group("a") != second.worker_group("a")
    assert first.transactional_id(1, "a") != second.transactional_id(1, "a")


def test_no_group_is_taken_for_another() -> None:
    """The group of an action's workers is never that of the orchestrators, whatever the action is called."""
    mine = Topics("shop")
    assert mine.worker_group("orchestrator") != mine.orchestrator_group
