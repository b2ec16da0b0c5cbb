"""Writing definitions to the installation: what is new, what is there already, and what may not replace it.

A definition is immutable: runs that live are pinned to it by its hash. Another content needs another version.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from actionbus.contracts import checks, headers, identifiers
from actionbus.contracts.definitions import Graph, WorkflowDefinition
from actionbus.contracts.errors import Conflict, DefinitionRefused, RecordUnreadable
from actionbus.contracts.limits import DEFAULT_LIMITS, Limits
from actionbus.contracts.nodes import EmitNode
from actionbus.contracts.records import OutRecord
from actionbus.contracts.topics import Topics
from actionbus.kafka.codec import Codec
from actionbus.kafka.connection import Connection
from actionbus.kafka.producer import IdempotentProducer
from actionbus.kafka.reader import PartitionReader

SOURCE = "deployer"
PARTITION = 0  # the definitions topic has one


class Verdict(StrEnum):
    """What deploying a definition would do."""

    NEW = "new"
    """It is written."""
    UNCHANGED = "unchanged"
    """It is there already, byte for byte."""
    REFUSED = "refused"
    """It may not be written; the reason says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One definition and what becomes of it."""

    graph: Graph
    verdict: Verdict
    reason: str = ""

    @property
    def key(self) -> str:
        """``name@version``."""
        return identifiers.definition_key(self.graph.name, self.graph.version)


Deployed = Mapping[str, WorkflowDefinition]  # by name@version


def targets(graph: Graph) -> set[str]:
    """The topics of others that its runs publish to: by their actions, or by themselves."""
    by_actions = {topic for action in graph.actions.values() for topic in action.emits}
    return by_actions | {node.topic for _, node, _ in graph.nodes() if isinstance(node, EmitNode)}


async def deployed(connection: Connection, topics: Topics, codec: Codec) -> Deployed:
    """Every definition of the installation: the first content of each version, which is the one orchestrators use.

    Raises TopicMissing without an installation, Unavailable, AccessRefused.
    """
    found: dict[str, WorkflowDefinition] = {}
    async with PartitionReader(connection) as reader:
        async for records in reader.read_to_end(topics.definitions, PARTITION):
            for record in records:
                try:
                    definition = codec.decode(WorkflowDefinition, record.value)
                except RecordUnreadable:
                    continue  # orchestrators pass it over as well, with a word in their logs
                found.setdefault(identifiers.definition_key(definition.name, definition.version), definition)
    return found


def judge(
    graphs: Iterable[Graph], known: Deployed, topics: Iterable[str], names: Topics, limits: Limits = DEFAULT_LIMITS
) -> tuple[Deployment, ...]:
    """What deploying these graphs would do, given the definitions and the topics that exist."""
    exist = frozenset(topics)
    return tuple(_judge(graph, known, exist, names, limits) for graph in graphs)


async def deploy(
    connection: Connection, topics: Topics, codec: Codec, deployments: Sequence[Deployment], *, by: str
) -> None:
    """Write what is new; raises Conflict, and writes nothing, when anything is refused.

    Two who deploy different contents under one version at the same moment both write; the first record counts, and the
    one who came second is told so with Conflict.
    """
    refused = [f"{each.key}: {each.reason}" for each in deployments if each.verdict is Verdict.REFUSED]
    if refused:
        raise Conflict("; ".join(refused))
    new = [each for each in deployments if each.verdict is Verdict.NEW]
    if not new:
        return
    now = time.time_ns() // 1_000_000
    records: list[OutRecord] = []
    for each in new:
        value = codec.encode(WorkflowDefinition.of(each.graph, deployed_at=now, deployed_by=by))
        event = headers.cloud_event("WorkflowDefinition", f"{each.key}#{each.graph.hash}", SOURCE, now)
        records.append(OutRecord(key=each.key.encode(), value=value, headers=event))
    async with IdempotentProducer(connection) as producer:
        for record in records:
            await producer.append(topics.definitions, PARTITION, [record])
    written = await deployed(connection, topics, codec)
    lost = [each.key for each in new if written[each.key].hash != each.graph.hash]
    if lost:
        raise Conflict(f"somebody else deployed another content at the same moment: {', '.join(lost)}")


def _judge(graph: Graph, known: Deployed, exist: frozenset[str], names: Topics, limits: Limits) -> Deployment:
    try:
        checks.check(graph, limits)
    except DefinitionRefused as error:
        return Deployment(graph=graph, verdict=Verdict.REFUSED, reason=str(error))
    there = known.get(identifiers.definition_key(graph.name, graph.version))
    if there is not None and there.hash == graph.hash:
        return Deployment(graph=graph, verdict=Verdict.UNCHANGED)
    if there is not None:
        return Deployment(
            graph=graph,
            verdict=Verdict.REFUSED,
            reason=f"version {graph.version} of {graph.name} is deployed with another content, and a deployed version "
            "never changes because its runs rely on it: give this one another version",
        )
    wanted = {
        topic for action in graph.actions for topic in (names.commands(action), names.action_dead_letters(action))
    }
    wanted |= targets(graph)
    if missing := sorted(wanted - exist):
        reason = f"these topics are missing: {', '.join(missing)}; `actionbus topics apply` with the module makes ours"
        return Deployment(graph=graph, verdict=Verdict.REFUSED, reason=reason)
    return Deployment(graph=graph, verdict=Verdict.NEW)
