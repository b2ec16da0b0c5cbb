"""One client's view of a cluster: who leads a partition, who coordinates an id, and one request to one broker.

Nothing here sends a request twice. Whoever needs a retry decides so with the reply, or the silence, in hand.
"""

import asyncio
from typing import Any, Final, Literal, Self

from aiokafka import errors as kafka
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.structs import TopicPartition

from actionbus.contracts.errors import TopicMissing, Unavailable
from actionbus.kafka import clients, outcomes
from actionbus.kafka.connection import Connection

TOPIC_SECONDS: Final = (
    5.0  # below a commit's deadline; a topic made a moment ago needs some time until every broker knows it
)
SILENCE_SECONDS: Final = 5.0  # the same: what asks for a topic may be within a commit
COORDINATOR_SECONDS: Final = 30.0  # a cluster's first group or transaction makes an internal topic
_COORDINATED: Final = {"group": 0, "transaction": 1}

Silence = (kafka.KafkaError, TimeoutError, OSError)  # what a request raises when no reply was understood
NotSent = kafka.NodeNotReadyError  # the one of them that says that nothing left this machine


class Cluster:
    """Metadata and connections of one client.

    A broker answers the requests of one connection in turn; a request that may wait long gets a lane, which is a
    connection of its own.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client: AIOKafkaClient | None = None

    async def start(self) -> None:
        """Connect and learn the brokers; raises Unavailable or AccessRefused with the address and what to do."""
        client = clients.network(self._connection)
        try:
            await client.bootstrap()
        except kafka.KafkaError as error:
            await client.close()
            raise await explain(self._connection) from error
        self._client = client

    async def close(self) -> None:
        """Close all connections; harmless when repeated."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @property
    def client(self) -> AIOKafkaClient:
        """The library's client; raises Unavailable when it is not started or was closed."""
        if self._client is None:
            raise Unavailable("the connection to Kafka is closed")
        return self._client

    async def send(self, node: int, request: Any, *, lane: str | ConnectionGroup = ConnectionGroup.DEFAULT) -> Any:
        """Send one request once and return its reply; raises one of Silence. Cancelling it does not unsend it."""
        return await self.client.send(node, request, group=lane)  # pyright: ignore[reportArgumentType] - only a key

    def close_lane(self, lane: str) -> None:
        """Close the connections of a lane that is needed no more."""
        if self._client is not None:
            connections = self._client._conns  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - no other way
            for key in [key for key in connections if key[1] == lane]:
                connections.pop(key).close()

    async def partitions(self, topic: str, *, within: float | None = None) -> int:
        """How many partitions a topic has; raises TopicMissing or AccessRefused, or Unavailable when nobody answers.

        A topic that may have been made a moment ago is looked for ``within`` so many seconds, else TOPIC_SECONDS.
        """
        metadata = self.client.cluster
        what = f"topic {topic}"
        self.client.add_topic(topic)
        pause = clients.RETRY_BACKOFF_MS / 1000
        answered = False
        try:
            async with asyncio.timeout(within or TOPIC_SECONDS):
                while not metadata.partitions_for_topic(topic):
                    answered = await self.answers() or answered
                    if topic in metadata.unauthorized_topics:
                        raise outcomes.refusal(outcomes.TOPIC_AUTHORIZATION_FAILED, what)
                    if not metadata.partitions_for_topic(topic):
                        await asyncio.sleep(pause)
                        pause *= 2
        except TimeoutError as error:
            if not answered:
                await self._hear(what)
            if not metadata.partitions_for_topic(topic):
                raise outcomes.refusal(outcomes.UNKNOWN_TOPIC_OR_PARTITION, what) from error
        return len(metadata.partitions_for_topic(topic) or ())

    async def _hear(self, what: str) -> None:
        """Return when a broker has answered; raises Unavailable when none does: silence says nothing of any topic."""
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                while not await self.answers():  # noqa: ASYNC110 - an answer is no event
                    await asyncio.sleep(clients.RETRY_BACKOFF_MS / 1000)
        except TimeoutError as error:
            raise Unavailable(f"no broker says whether there is the {what}") from error

    def leader(self, topic: str, partition: int) -> int | None:
        """The broker that leads a partition as far as is known, or None."""
        found = self.client.cluster.leader_for_partition(TopicPartition(topic, partition))
        return None if found is None or found == -1 else found

    async def find_leader(self, topic: str, partition: int) -> int:
        """The broker that leads a partition, asked for where it is not known; raises TopicMissing or Unavailable."""
        found = self.leader(topic, partition)
        if found is not None:
            return found
        count = await self.partitions(topic)
        if not 0 <= partition < count:
            raise TopicMissing(f"topic {topic} has {count} partitions, no partition {partition}")
        try:
            async with asyncio.timeout(TOPIC_SECONDS):
                while (found := self.leader(topic, partition)) is None:
                    await asyncio.sleep(clients.RETRY_BACKOFF_MS / 1000)
                    await self.refresh()
        except TimeoutError as error:
            raise Unavailable(f"partition {partition} of topic {topic} has no leader") from error
        return found

    async def refresh(self) -> None:
        """Ask for the metadata again; a failure leaves the old."""
        await self.client.force_metadata_update()

    async def answers(self) -> bool:
        """Whether any broker that is known answers now; each of them is asked until one does. Raises Unavailable."""
        return bool(await self.client.force_metadata_update())

    async def coordinator(self, kind: Literal["group", "transaction"], key: str) -> int:
        """The broker that coordinates a group or transactional id; raises AccessRefused or Unavailable."""
        what = f"{kind} {key}"
        last = outcomes.refusal(outcomes.COORDINATOR_NOT_AVAILABLE, what)
        try:
            async with asyncio.timeout(COORDINATOR_SECONDS):
                while True:
                    try:
                        request = FindCoordinatorRequest(key, _COORDINATED[kind])
                        reply = await self.send(self.any_node(), request)
                    except Silence as error:
                        last = outcomes.failure(error, what)
                    else:
                        if reply.error_code == outcomes.NONE:
                            return int(reply.coordinator_id)
                        last = outcomes.refusal(reply.error_code, what)
                        if reply.error_code not in (
                            outcomes.COORDINATOR_NOT_AVAILABLE,
                            outcomes.COORDINATOR_LOAD_IN_PROGRESS,
                        ):
                            raise last
                    await asyncio.sleep(clients.RETRY_BACKOFF_MS / 1000)
                    await self.refresh()
        except TimeoutError as error:
            raise last from error

    def any_node(self) -> int:
        """Some broker, for what each of them can answer; raises Unavailable."""
        node = self.client.get_random_node()
        if node is None:
            raise Unavailable("no broker is known")
        return node


async def explain(connection: Connection) -> Exception:
    """Why a cluster cannot be reached: the first address that says more than silence, else all addresses."""
    arguments = connection.arguments()
    addresses = arguments.pop("bootstrap_servers")
    for host, port, _ in collect_hosts(addresses, randomize=False):
        what = f"connecting to Kafka at {host}:{port} as {connection.security_protocol}"
        try:
            probe = await create_conn(host, port, **arguments, request_timeout_ms=clients.REQUEST_TIMEOUT_MS)
        except ConnectionRefusedError:
            continue
        except Silence as error:
            return outcomes.failure(error, what)
        probe.close()
        return Unavailable(f"{what}: it answers, but no request: it is starting, or wants another security protocol")
    return Unavailable(f"no Kafka broker answers at {addresses}: start it, or correct the address")
