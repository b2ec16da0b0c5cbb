"""Membership of a group that owns shards: who holds which partition of one topic. It reads no record of it.

Ownership comes from the group; correctness comes from the fence of the transactional ids. A member that is cut off
from the brokers learns that it is lost only when it reaches them again, so its owner must not rely on these events.
"""

import asyncio
from collections.abc import Iterable
from typing import Any, Final, Self

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka import errors as kafka
from aiokafka.structs import TopicPartition

from actionbus.kafka import clients, cluster, outcomes
from actionbus.kafka.connection import Connection
from actionbus.kafka.rebalances import Assigned, Failed, Lost, Rebalance, Revoked

POLL_MS: Final = 1_000
LEAVE_SECONDS: Final = 10.0
ANEW_SECONDS: Final = 0.2  # before a member that the library gave up joins as a new one
_FETCH_BYTES: Final = 1  # nothing is ever fetched: every partition is paused from the start

_log = structlog.get_logger(__name__)


class Membership:
    """One member. Everything the group says arrives in `events`, in order; nothing slow runs inside a rebalance."""

    def __init__(
        self,
        connection: Connection,
        group: str,
        topic: str,
        *,
        instance_id: str | None = None,
        session_timeout_ms: int = clients.SESSION_TIMEOUT_MS,
    ) -> None:
        self.events: asyncio.Queue[Rebalance] = asyncio.Queue()
        self._connection = connection
        self._group = group
        self._topic = topic
        self._instance_id = instance_id
        self._session_timeout_ms = session_timeout_ms
        self._consumer: AIOKafkaConsumer | None = None
        self._polling: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Join; the first `Assigned` follows in `events`. Raises Unavailable, AccessRefused or TopicMissing."""
        async with cluster.Cluster(self._connection) as brokers:
            await brokers.partitions(self._topic)
        self._polling = asyncio.create_task(self._take_part(self._join()))

    async def close(self) -> None:
        """Leave the group, so that others get the partitions at once; a static member only goes silent."""
        polling, self._polling = self._polling, None
        consumer, self._consumer = self._consumer, None
        if polling is not None:
            polling.cancel()
            await asyncio.gather(polling, return_exceptions=True)
        if consumer is not None:
            await stop(consumer)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _join(self) -> AIOKafkaConsumer:
        consumer = clients.group_consumer(
            self._connection,
            self._group,
            isolation="read_committed",
            fetch_bytes=_FETCH_BYTES,
            instance_id=self._instance_id,
            session_timeout_ms=self._session_timeout_ms,
        )
        consumer.subscribe([self._topic], listener=_Listener(consumer, self.events))
        self._consumer = consumer
        return consumer

    async def _take_part(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            error = await self._poll(consumer)
            if not given_up(consumer):
                self.events.put_nowait(Failed(error=outcomes.failure(error, f"group {self._group}")))
                return
            _log.warning("the member is given up and joins anew", group=self._group, error=str(error))
            if held := numbers(consumer.assignment()):
                self.events.put_nowait(Lost(partitions=held))
            await stop(consumer)
            await asyncio.sleep(ANEW_SECONDS)
            consumer = self._join()

    async def _poll(self, consumer: AIOKafkaConsumer) -> Exception:
        """A member that does not poll is thrown out by its own library after max_poll_interval_ms."""
        try:
            await consumer.start()
            while True:
                await consumer.getmany(timeout_ms=POLL_MS)
        except (kafka.KafkaError, OSError) as error:
            return error


class _Listener(ConsumerRebalanceListener):
    def __init__(self, consumer: AIOKafkaConsumer, events: "asyncio.Queue[Rebalance]") -> None:
        self._consumer = consumer
        self._events = events

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        partitions = numbers(revoked)
        if partitions:
            lost = thrown_out(self._consumer)
            self._events.put_nowait(Lost(partitions=partitions) if lost else Revoked(partitions=partitions))

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        places = list(assigned)
        self._consumer.pause(*places)
        for place in places:
            self._consumer.seek(place, 0)  # a paused partition with a position asks the broker nothing at all
        self._events.put_nowait(Assigned(partitions=numbers(places)))


def numbers(places: Iterable[TopicPartition]) -> frozenset[int]:
    """The partition numbers of places that are all of one topic."""
    return frozenset(place.partition for place in places)


def thrown_out(consumer: AIOKafkaConsumer) -> bool:
    """Whether the group no longer knows this member; true only between that answer and the next join."""
    coordinator: Any = consumer._coordinator  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - not told otherwise
    return coordinator is not None and coordinator.generation == -1


def given_up(consumer: AIOKafkaConsumer) -> bool:
    """Whether the library has stopped taking part in the group, as it does on an answer that it does not understand.

    An assignment of no bytes is one: a leader that knew nothing of a member gives it that. Every call then raises, and
    only a new consumer joins again.
    """
    coordinator: Any = consumer._coordinator  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - not told otherwise
    return coordinator is not None and coordinator._coordination_task.done()  # noqa: SLF001 - the same


async def stop(consumer: AIOKafkaConsumer) -> None:
    """Leave and close within a bound; an unreachable coordinator finds out by itself after the session."""
    try:
        async with asyncio.timeout(LEAVE_SECONDS):
            await consumer.stop()
    except (kafka.KafkaError, TimeoutError, OSError):
        consumer._closed = True  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - it is given up, not forgotten
