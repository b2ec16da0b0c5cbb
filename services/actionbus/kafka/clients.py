"""The one place where clients of aiokafka are made, with every setting said. What they are used for is elsewhere."""

import asyncio
import random
from collections.abc import Iterable
from typing import Any, Final, Literal

from aiokafka import AIOKafkaConsumer
from aiokafka import errors as kafka
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.metadata import MetadataRequest

from actionbus.kafka import parcels
from actionbus.kafka.connection import Connection

REQUEST_TIMEOUT_MS: Final = 15_000  # silence for this long closes the connection
METADATA_MAX_AGE_MS: Final = 60_000
RETRY_BACKOFF_MS: Final = 50
CONNECTIONS_MAX_IDLE_MS: Final = 540_000  # below the broker's 600,000
PRODUCE_TIMEOUT_MS: Final = 10_000  # how long a leader waits for its followers
BATCH_OVERHEAD: Final = 61  # bytes of an empty record batch
TRANSACTION_TIMEOUT_MS: Final = 30_000  # after which the broker aborts what was left open
COMMIT_SECONDS: Final = 10.0  # the whole of a commit, below REQUEST_TIMEOUT_MS: silence is noticed here first
APPEND_SECONDS: Final = 30.0  # how long a record may wait for its acknowledgement
FETCH_MAX_WAIT_MS: Final = 500
FETCH_MAX_BYTES: Final = 52_428_800
IDLE_SECONDS: Final = 0.001  # between questions to a broker that answers at once with nothing, doubled each time
IDLE_MAX_SECONDS: Final = 0.016
AT_ONCE_SECONDS: Final = FETCH_MAX_WAIT_MS / 1000 / 10
SESSION_TIMEOUT_MS: Final = 8_000  # how long a dead member keeps its partitions
HEARTBEAT_INTERVAL_MS: Final = 1_000
REBALANCE_TIMEOUT_MS: Final = 10_000  # how long a join may wait for other members; below REQUEST_TIMEOUT_MS
MAX_POLL_INTERVAL_MS: Final = 300_000

# The library's type says str only, but takes classes; sticky and roundrobin would part the shards of one process.
ASSIGNORS: Final[tuple[type[AbstractPartitionAssignor], ...]] = (RangePartitionAssignor,)


class Network(AIOKafkaClient):
    """The library's client, except that asking for a topic never makes one.

    The library always allows the broker to create what it is asked about, so a typing error would become a topic.
    """

    async def _metadata_update(self, cluster_metadata: ClusterMetadata, topics: Iterable[str]) -> bool:
        request = MetadataRequest(list(topics) or None, allow_auto_topic_creation=False)
        nodes: list[Any] = [broker.nodeId for broker in self.cluster.brokers()]
        if ("bootstrap", ConnectionGroup.DEFAULT) in self._conns:
            nodes.append("bootstrap")
        random.shuffle(nodes)
        for node in nodes:
            connected = await self._get_conn(node)
            if connected is None:
                continue
            try:
                metadata: Any = await connected.send(request)
            except (kafka.KafkaError, TimeoutError):
                continue
            if not metadata.brokers:
                return False
            cluster_metadata.update_metadata(metadata)
            if node != "bootstrap" and (kept := self._conns.pop(("bootstrap", ConnectionGroup.DEFAULT), None)):
                kept.close()  # it was kept only until the brokers' own addresses were known
            return True
        cluster_metadata.failed_update(None)
        return False


def network(connection: Connection) -> Network:
    """Connections and metadata, without producer or consumer."""
    return Network(
        **connection.arguments(),
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        metadata_max_age_ms=METADATA_MAX_AGE_MS,
        retry_backoff_ms=RETRY_BACKOFF_MS,
        connections_max_idle_ms=CONNECTIONS_MAX_IDLE_MS,
    )


def group_consumer(
    connection: Connection,
    group: str,
    *,
    isolation: Literal["read_uncommitted", "read_committed"],
    fetch_bytes: int,
    instance_id: str | None = None,
    session_timeout_ms: int = SESSION_TIMEOUT_MS,
) -> AIOKafkaConsumer:
    """A member of a consumer group that commits nothing by itself and refuses to guess an offset."""
    arguments = connection.arguments()
    if instance_id is not None:
        # Members are sorted by an id that begins with this: who comes back has the same share again. noida-db 0.2.3
        # shares anew then and does not tell the others, so any other share would be held twice, or by nobody.
        arguments |= {"client_id": f"{connection.client_id}-{instance_id}"}
    parcels.teach()
    consumer = AIOKafkaConsumer(
        **arguments,
        group_id=group,
        group_instance_id=instance_id,
        partition_assignment_strategy=ASSIGNORS,
        isolation_level=isolation,
        enable_auto_commit=False,
        auto_offset_reset="none",
        check_crcs=True,
        fetch_min_bytes=1,
        fetch_max_wait_ms=FETCH_MAX_WAIT_MS,
        fetch_max_bytes=FETCH_MAX_BYTES,
        max_partition_fetch_bytes=fetch_bytes,
        session_timeout_ms=session_timeout_ms,
        heartbeat_interval_ms=HEARTBEAT_INTERVAL_MS,
        rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
        max_poll_interval_ms=MAX_POLL_INTERVAL_MS,
        exclude_internal_topics=True,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        metadata_max_age_ms=METADATA_MAX_AGE_MS,
        retry_backoff_ms=RETRY_BACKOFF_MS,
        connections_max_idle_ms=CONNECTIONS_MAX_IDLE_MS,
    )
    _ask_patiently(consumer._client)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - the library has no setting
    return consumer


def _ask_patiently(client: AIOKafkaClient) -> None:
    """Let a broker that answers a fetch at once with nothing be asked again a little later.

    A broker waits for records before it answers with none. The embedded one does not, and the library would ask it
    thousands of times a second.
    """
    send = client.send
    pause = IDLE_SECONDS

    async def sent(node_id: int, request: Any, *, group: Any = ConnectionGroup.DEFAULT) -> Any:
        nonlocal pause
        if not isinstance(request, FetchRequest):
            return await send(node_id, request, group=group)
        clock = asyncio.get_running_loop().time
        asked = clock()
        reply = await send(node_id, request, group=group)
        if clock() - asked >= AT_ONCE_SECONDS or any(page[-1] for _, pages in reply.topics for page in pages):
            pause = IDLE_SECONDS
        else:
            await asyncio.sleep(pause)
            pause = min(2 * pause, IDLE_MAX_SECONDS)
        return reply

    client.send = sent
