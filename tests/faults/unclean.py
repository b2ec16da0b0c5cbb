"""An election that an administrator forces: a broker leads that lacks what another one has acknowledged alone.

It needs partitions of two copies, one of which is away while the other acknowledges, and a third broker, so that the
controllers have a majority all the while.
"""

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.types import Array, Int8, Int16, Int32, Schema, String

from actionbus.contracts.errors import Unavailable
from actionbus.kafka.cluster import Cluster, Silence
from actionbus.kafka.connection import Connection
from actionbus.kafka.reader import PartitionReader
from support.apache_kafka import ApacheKafka, Node

UNCLEAN = 1  # as ElectionType in Kafka's source
DONE, NOT_NEEDED = 0, 84  # nobody is elected where there is a leader
SEEN_SECONDS = 240.0  # far above what is normal
AGAIN_SECONDS = 0.2
ANSWER_MS = 10_000
_TEXT = String("utf-8")

Place = tuple[str, int]


class _ElectedV1(Response):
    API_KEY = 43
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("code", Int16),
        (
            "topics",
            Array(
                ("topic", _TEXT),
                ("partitions", Array(("partition", Int32), ("code", Int16), ("message", _TEXT))),
            ),
        ),
    )


class _ElectV1(RequestStruct):
    API_KEY = 43
    API_VERSION = 1
    RESPONSE_TYPE = _ElectedV1
    SCHEMA = Schema(
        ("election_type", Int8),
        ("topics", Array(("topic", _TEXT), ("partitions", Array(Int32)))),
        ("timeout_ms", Int32),
    )


class ElectLeaders(Request[_ElectV1]):
    """Let any copy that is there lead these partitions, whatever it lacks (KIP-460)."""

    API_KEY = 43

    def __init__(self, places: Iterable[Place]) -> None:
        self._places = list(places)

    def build(self, request_struct_class: type[_ElectV1]) -> _ElectV1:
        """The request as the broker reads it."""
        topics = [(topic, [partition]) for topic, partition in self._places]
        return request_struct_class(UNCLEAN, topics, ANSWER_MS)


@dataclass(frozen=True, kw_only=True)
class Copies:
    """Who keeps a partition."""

    leader: int
    replicas: frozenset[int]
    in_sync: frozenset[int]


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What an election took back."""

    ends: dict[Place, tuple[int, int]]
    """Where each partition ended before it, and right after it."""

    @property
    def lost(self) -> dict[Place, int]:
        """How many offsets are gone, in each partition of which any are."""
        return {place: before - after for place, (before, after) in self.ends.items() if after < before}


class Election:
    """Broker `behind` lacks what `ahead` acknowledges from `begin` on; `force` makes it the leader all the same."""

    def __init__(self, cluster: ApacheKafka, connection: Connection, places: Collection[Place]) -> None:
        self.places = places
        self._cluster = cluster
        self._connection = connection

    @classmethod
    async def of(
        cls, cluster: ApacheKafka, connection: Connection, topics: Collection[str], place: Place
    ) -> tuple["Election", Node, Node]:
        """For those partitions of some topics that the same two brokers keep as one of them, and these brokers."""
        async with asyncio.timeout(SEEN_SECONDS):
            while place not in (found := await copies(connection)):  # noqa: ASYNC110 - a broker that is behind tells nobody
                await asyncio.sleep(AGAIN_SECONDS)
        ahead = found[place].leader
        (behind,) = found[place].replicas - {ahead}
        same = sorted(each for each, kept in found.items() if each[0] in topics and kept.replicas == {ahead, behind})
        by_number = {node.number: node for node in cluster.nodes}
        return cls(cluster, connection, same), by_number[ahead], by_number[behind]

    async def begin(self, ahead: Node, behind: Node) -> None:
        """Kill one of the two, and return when the other one acknowledges alone."""
        self._cluster.kill_node(behind)
        async with asyncio.timeout(SEEN_SECONDS):
            while True:
                found = await copies(self._connection)
                if all(place in found and found[place].in_sync == {ahead.number} for place in self.places):
                    return
                await asyncio.sleep(AGAIN_SECONDS)

    async def force(self, ahead: Node, behind: Node) -> Cut:
        """Kill who has all records, let the other one lead, and start again the first one, who then forgets as well."""
        before = await self._ends()
        self._cluster.kill_node(ahead)
        self._cluster.start_node(behind, wait=False)
        await asyncio.to_thread(self._cluster.wait_for, behind)
        await self._elect()
        after = await self._ends()
        self._cluster.start_node(ahead, wait=False)
        await asyncio.to_thread(self._cluster.wait_for, ahead)
        return Cut(ends={place: (before[place], after[place]) for place in self.places})

    async def _ends(self) -> dict[Place, int]:
        """Where each partition ends; who leads none of them yet is asked again."""
        ends: dict[Place, int] = {}
        async with PartitionReader(self._connection) as reader, asyncio.timeout(SEEN_SECONDS):
            while left := [place for place in self.places if place not in ends]:
                ends.update(await reader.ends(left, committed=False))
                await asyncio.sleep(AGAIN_SECONDS)
        return ends

    async def _elect(self) -> None:
        left = list(self.places)
        async with asyncio.timeout(SEEN_SECONDS):
            while left:
                done = await self._ask(left)
                left = [place for place in left if place not in done]
                await asyncio.sleep(AGAIN_SECONDS)

    async def _ask(self, places: list[Place]) -> set[Place]:
        """Which of them have a leader now."""
        try:
            async with Cluster(self._connection) as brokers:
                reply: Any = await brokers.send(brokers.any_node(), ElectLeaders(places))
        except (*Silence, Unavailable):  # the controllers elect one of themselves, or the broker is not up yet
            return set()
        return {
            (topic, partition)
            for topic, partitions in reply.topics
            for partition, code, _message in partitions
            if code in (DONE, NOT_NEEDED)
        }


async def copies(connection: Connection) -> dict[Place, Copies]:
    """Who keeps what, as the first broker says that answers."""
    async with asyncio.timeout(SEEN_SECONDS):
        while True:
            try:
                async with Cluster(connection) as brokers:
                    reply: Any = await brokers.send(brokers.any_node(), MetadataRequest(None))
                break
            except (*Silence, Unavailable):
                await asyncio.sleep(AGAIN_SECONDS)
    return {
        (name, each[1]): Copies(leader=each[2], replicas=frozenset(each[3]), in_sync=frozenset(each[4]))
        for _code, name, _internal, partitions in reply.topics
        for each in partitions
    }
