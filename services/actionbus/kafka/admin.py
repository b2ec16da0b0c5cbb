"""Looking at a cluster and changing its topics: brokers, topics with their settings, groups with their offsets.

The library's admin client forgets SASL, so the requests are sent here. What the catalogue of topics should say is not
decided here. noida-db, the broker for development, answers all of it, but takes any setting and obeys few.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.protocol.admin import (
    CreateTopicsRequest,
    DeleteTopicsRequest,
    DescribeConfigsRequest,
    DescribeGroupsRequest,
)
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.metadata import MetadataRequest

from actionbus.contracts.errors import Conflict, Refused, Unavailable
from actionbus.kafka import administration, clients, cluster, coordination, open_transactions, outcomes
from actionbus.kafka.batches import Partition
from actionbus.kafka.connection import Connection

UNCLEAN_ELECTION: Final = "unclean.leader.election.enable"
_NO_OFFSET: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts:
    """A cluster and its brokers; `unclean_election` is None where the broker does not say."""

    cluster_id: str | None
    brokers: Mapping[int, str]  # id -> host:port
    unclean_election: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicFacts:
    """A topic as it is, with every setting the broker tells, defaults included."""

    name: str
    partitions: int
    replication: int
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicPlan:
    """A topic to be made; `replication` -1 takes the cluster's default."""

    name: str
    partitions: int
    replication: int = -1
    settings: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """A group's offset in a partition, with the text stored beside it."""

    offset: int
    metadata: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member of a consumer group and the partitions it holds."""

    member_id: str
    client_id: str
    host: str
    partitions: frozenset[Partition]


class Admin:
    """A client that looks and changes; it reads and writes no records."""

    def __init__(self, connection: Connection) -> None:
        self._cluster = cluster.Cluster(connection)

    async def start(self) -> None:
        """Connect; raises Unavailable or AccessRefused."""
        await self._cluster.start()

    async def close(self) -> None:
        """Close the connections."""
        await self._cluster.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def describe_cluster(self) -> ClusterFacts:
        """The brokers, and whether a leader may be elected that lacks acknowledged records."""
        reply = await self._ask(MetadataRequest([]), "the brokers")
        brokers = {node: f"{host}:{port}" for node, host, port, *_ in reply.brokers}
        unclean = None
        if brokers:
            node = min(brokers)
            said = await self._settings(administration.BROKER, [str(node)], names=[UNCLEAN_ELECTION], node=node)
            text = said.get(str(node), {}).get(UNCLEAN_ELECTION)
            unclean = None if text is None else text == "true"
        return ClusterFacts(
            cluster_id=getattr(reply, "cluster_id", None) or None, brokers=brokers, unclean_election=unclean
        )

    async def topics(self, prefix: str = "") -> dict[str, TopicFacts]:
        """The topics that the user may see and whose name begins with `prefix`, internal ones left out."""
        reply = await self._ask(MetadataRequest(None), "the topics")
        parts = {
            name: partitions
            for code, name, internal, partitions in reply.topics
            if code == outcomes.NONE and not internal and name.startswith(prefix)
        }
        settings = await self._settings(administration.TOPIC, list(parts)) if parts else {}
        return {
            name: TopicFacts(
                name=name,
                partitions=len(partitions),
                replication=len(partitions[0][3]) if partitions else 0,
                settings=settings.get(name, {}),
            )
            for name, partitions in parts.items()
        }

    async def create_topics(self, plans: Sequence[TopicPlan]) -> None:
        """Make topics and return when every one of them has leaders; raises Conflict when one exists, or a refusal."""
        requests: list[Any] = [
            (plan.name, plan.partitions, plan.replication, [], list(plan.settings.items())) for plan in plans
        ]
        reply = await self._ask_controller(
            CreateTopicsRequest(requests, clients.REQUEST_TIMEOUT_MS, validate_only=False), "creating topics"
        )
        for name, code, message in reply.topic_errors:
            if code == outcomes.TOPIC_ALREADY_EXISTS:
                raise Conflict(f"topic {name} exists already")
            if code != outcomes.NONE:
                raise _refused(code, f"creating topic {name}", message)
        for plan in plans:
            for partition in range(plan.partitions):
                await self._cluster.find_leader(plan.name, partition)

    async def delete_topics(self, names: Sequence[str]) -> None:
        """Remove topics with all their records and return when they are told of no more.

        Raises TopicMissing or another refusal, or Unavailable when they are told of for long.
        """
        reply = await self._ask_controller(
            DeleteTopicsRequest(list(names), clients.REQUEST_TIMEOUT_MS), "deleting topics"
        )
        for name, code in reply.topic_error_codes:
            if code != outcomes.NONE:
                raise outcomes.refusal(code, f"deleting topic {name}")
        try:
            async with asyncio.timeout(clients.REQUEST_TIMEOUT_MS / 1000):
                while await self._told(names):  # noqa: ASYNC110 - no event tells
                    await asyncio.sleep(clients.RETRY_BACKOFF_MS / 1000)
        except TimeoutError as error:
            raise Unavailable(f"deleting topics: some of {', '.join(names)} are still told of") from error

    async def alter_topics(self, settings: Mapping[str, Mapping[str, str]]) -> None:
        """Set single settings of topics; all others stay as they are. Raises a refusal."""
        wanted = {topic: dict(values) for topic, values in settings.items()}
        reply = await self._ask(administration.IncrementalAlterConfigs(wanted), "changing settings of topics")
        for code, message, _kind, topic in reply.responses:
            if code != outcomes.NONE:
                raise _refused(code, f"changing settings of topic {topic}", message)

    async def committed(self, group: str, places: Iterable[Partition] | None = None) -> dict[Partition, Committed]:
        """A group's stored offsets with their metadata; partitions without one are left out.

        `places` None asks for all. The consumer's own call drops the metadata. Raises AccessRefused or Unavailable.
        """
        return await committed(self._cluster, group, places)

    async def open_transactions(self, places: Iterable[Partition]) -> list[open_transactions.OpenTransaction]:
        """The transactions that are open in these partitions, see `open_transactions`.

        Raises AccessRefused, or Unavailable, also where the broker does not know such questions.
        """
        return await open_transactions.find(self._cluster, places)

    async def members(self, group: str) -> list[Member]:
        """Who is in a consumer group now and holds what; empty for a group that does not exist."""
        request = DescribeGroupsRequest([group])
        reply = await coordination.ask(self._cluster, group, request, lambda reply: {reply.groups[0][0]})
        _code, _group, state, _type, _protocol, members, *_ = reply.groups[0]
        return [
            Member(
                member_id=member_id, client_id=client_id, host=host, partitions=_assigned(assignment, state == "Stable")
            )
            for member_id, client_id, host, _metadata, assignment in members
        ]

    async def _told(self, names: Sequence[str]) -> bool:
        """Whether a broker tells of any of these topics: each hears of a deletion in its own time."""
        reply = await self._ask(MetadataRequest(None), "the topics")
        return bool({name for _code, name, *_ in reply.topics} & {*names})

    async def _settings(
        self, kind: int, names_of: Sequence[str], *, names: list[str] | None = None, node: int | None = None
    ) -> dict[str, dict[str, str]]:
        request = DescribeConfigsRequest([(kind, name, names) for name in names_of], include_synonyms=False)
        reply = await self._ask(request, "settings", node=node)
        found: dict[str, dict[str, str]] = {}
        for code, _message, _kind, resource, entries in reply.resources:
            if code == outcomes.NONE:
                found[resource] = {entry[0]: entry[1] for entry in entries if entry[1] is not None}
        return found

    async def _ask(self, request: Any, what: str, *, node: int | None = None) -> Any:
        try:
            return await self._cluster.send(self._cluster.any_node() if node is None else node, request)
        except cluster.Silence as error:
            raise outcomes.failure(error, f"asking Kafka about {what}") from error

    async def _ask_controller(self, request: Any, what: str) -> Any:
        await self._cluster.refresh()
        controller = self._cluster.client.cluster.controller
        if controller is None:
            raise Unavailable(f"{what}: the cluster has no controller at the moment")
        return await self._ask(request, what, node=int(controller.nodeId))


def unclean(topics: Mapping[str, TopicFacts]) -> list[str]:
    """Those that may get a leader that lacks acknowledged records: a topic's own setting goes before the brokers'."""
    return [name for name, facts in topics.items() if facts.settings.get(UNCLEAN_ELECTION) == "true"]


async def committed(
    brokers: cluster.Cluster, group: str, places: Iterable[Partition] | None = None
) -> dict[Partition, Committed]:
    """See `Admin.committed`; for those who have a cluster at hand."""
    topics: dict[str, list[int]] = {}
    for topic, partition in places or ():
        topics.setdefault(topic, []).append(partition)
    request = OffsetFetchRequest(group, None if places is None else list(topics.items()))
    reply = await coordination.ask(brokers, group, request, _offset_codes)
    return {
        (topic, partition): Committed(offset=offset, metadata=metadata or "")
        for topic, partitions in reply.topics
        for partition, offset, metadata, _code in partitions
        if offset != _NO_OFFSET
    }


def _offset_codes(reply: Any) -> set[int]:
    codes = {code for _topic, partitions in reply.topics for _partition, _offset, _metadata, code in partitions}
    return codes | {getattr(reply, "error_code", outcomes.NONE)}


def _assigned(data: bytes, stable: bool) -> frozenset[Partition]:  # noqa: FBT001 - the one question that matters here
    if not stable or not data:
        return frozenset()
    decoded: Any = ConsumerProtocolMemberAssignment.decode(data)
    return frozenset((place.topic, place.partition) for place in decoded.partitions())


def _refused(code: int, what: str, message: str | None) -> Exception:
    error = outcomes.refusal(code, what)
    return type(error)(f"{error}: {message}") if message and isinstance(error, Refused) else error
