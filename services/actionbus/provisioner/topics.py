"""The topics of an installation compared with those of a cluster, and what it takes to make them equal.

``compare`` decides and touches nothing; ``apply`` does what was decided. Records are not read here, and no topic is
ever deleted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from actionbus.contracts import topics
from actionbus.contracts.definitions import ActionSpec
from actionbus.contracts.errors import Conflict
from actionbus.contracts.topics import TopicSpec
from actionbus.kafka.admin import Admin, TopicFacts, TopicPlan

MIN_INSYNC: Final = "min.insync.replicas"
UNCLEAN: Final = "unclean.leader.election.enable"
SHARDS_VARIABLE: Final = "ACTIONBUS_TOPICS_SHARDS"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an installation asks for: the name it goes by, the actions it hosts, and how its topics are made."""

    prefix: str
    actions: Sequence[ActionSpec]
    shards: int
    action_partitions: int
    replication: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingChange:
    """A topic's setting that is not as the catalogue says; ``found`` None: the broker does not show it."""

    topic: str
    name: str
    found: str | None
    wanted: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicRefusal:
    """Something about a topic that only a person can put right."""

    topic: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What stands between an installation and a cluster."""

    create: tuple[TopicPlan, ...]
    alter: tuple[SettingChange, ...]
    refused: tuple[TopicRefusal, ...]
    unchanged: tuple[str, ...]
    unused: tuple[str, ...]  # of this prefix, but of no action that was named

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return not (self.create or self.alter or self.refused)


async def look(admin: Admin, wanted: Wanted) -> Comparison:
    """Compare with the cluster as it is; raises Unavailable or AccessRefused."""
    brokers = len((await admin.describe_cluster()).brokers)
    found = await admin.topics(f"{wanted.prefix}.")
    for name in {name for action in wanted.actions for name in action.emits}:
        found |= {each: facts for each, facts in (await admin.topics(name)).items() if each == name}
    return compare(wanted, found, brokers)


def compare(wanted: Wanted, found: Mapping[str, TopicFacts], brokers: int) -> Comparison:
    """What to create, to alter and to refuse, given the topics of the prefix and the emit targets that exist."""
    replication = max(1, min(wanted.replication, brokers))
    plans = [_plan(wanted, spec, name, replication) for spec, name in _names(wanted)]
    alter = [change for plan in plans if plan.name in found for change in _changes(plan, found[plan.name])]
    refused = [*_partitions_refused(wanted, found), *_emits_refused(wanted, found)]
    touched = {change.topic for change in alter} | {each.topic for each in refused}
    ours = {plan.name for plan in plans}
    return Comparison(
        create=tuple(plan for plan in plans if plan.name not in found),
        alter=tuple(alter),
        refused=tuple(refused),
        unchanged=tuple(plan.name for plan in plans if plan.name in found and plan.name not in touched),
        unused=tuple(sorted(name for name in found if name.startswith(f"{wanted.prefix}.") and name not in ours)),
    )


async def apply(admin: Admin, comparison: Comparison) -> None:
    """Create and alter what the comparison says; raises Conflict, and does nothing, when it refuses something."""
    if comparison.refused:
        raise Conflict("; ".join(f"{each.topic}: {each.reason}" for each in comparison.refused))
    if comparison.create:
        await admin.create_topics(comparison.create)
    settings: dict[str, dict[str, str]] = {}
    for change in comparison.alter:
        settings.setdefault(change.topic, {})[change.name] = change.wanted
    if settings:
        await admin.alter_topics(settings)


def _names(wanted: Wanted) -> Iterable[tuple[TopicSpec, str]]:
    actions = sorted({action.id for action in wanted.actions})
    for spec in topics.catalogue().topics:
        if spec.partitions != topics.PER_ACTION:
            yield spec, spec.name.format(prefix=wanted.prefix)
        else:
            for action in actions:
                yield spec, spec.name.format(prefix=wanted.prefix, action=action)


def _plan(wanted: Wanted, spec: TopicSpec, name: str, replication: int) -> TopicPlan:
    counts = {topics.PER_SHARD: wanted.shards, topics.PER_ACTION: wanted.action_partitions}
    # A record is acknowledged by all replicas in sync; without a least number of them that may be the leader alone.
    durable = {UNCLEAN: "false", MIN_INSYNC: str(max(1, replication - 1))}
    return TopicPlan(
        name=name,
        partitions=counts[spec.partitions] if isinstance(spec.partitions, str) else spec.partitions,
        replication=replication,
        settings={**spec.config, **durable},
    )


def _changes(plan: TopicPlan, facts: TopicFacts) -> Iterable[SettingChange]:
    for name, value in plan.settings.items():
        if name == MIN_INSYNC and facts.replication != plan.replication:
            continue  # the copies were chosen by somebody else, and how many of them must agree goes with that
        if facts.settings.get(name) != value:
            yield SettingChange(topic=plan.name, name=name, found=facts.settings.get(name), wanted=value)


def _partitions_refused(wanted: Wanted, found: Mapping[str, TopicFacts]) -> Iterable[TopicRefusal]:
    for spec, name in _names(wanted):
        if name not in found:
            continue
        has = found[name].partitions
        if spec.partitions == topics.PER_SHARD and has != wanted.shards:
            yield TopicRefusal(
                topic=name,
                reason=f"it has {has} partitions, {wanted.shards} are asked for: the number of shards is fixed when "
                f"the topics are made, because a run's partition follows from it; set {SHARDS_VARIABLE}={has}, or "
                "begin a new installation with another prefix",
            )
        elif isinstance(spec.partitions, int) and has != spec.partitions:
            reason = f"it has {has} partitions, it must have {spec.partitions}: whoever reads it reads one partition"
            yield TopicRefusal(topic=name, reason=reason)
        # The commands of an action may have any number of partitions: a hot action grows by adding some.


def _emits_refused(wanted: Wanted, found: Mapping[str, TopicFacts]) -> Iterable[TopicRefusal]:
    names = topics.Topics(wanted.prefix)
    for action in wanted.actions:
        for target in action.emits:
            if names.owns(target):
                reason = f"the action {action.id} may not emit to it: topics of {wanted.prefix} belong to actionbus"
                yield TopicRefusal(topic=target, reason=reason)
            elif target not in found:
                reason = f"the action {action.id} emits to it, and it does not exist: make it as its readers need"
                yield TopicRefusal(topic=target, reason=reason)
