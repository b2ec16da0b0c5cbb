"""The log of a shard on Kafka: one reader and one plain producer for all shards of a process, two writers for each."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Collection, Iterable, Mapping, Sequence
from typing import Final, Self, cast

from actionbus.contracts.errors import AccessRefused, TopicMissing, Unavailable
from actionbus.contracts.limits import Limits
from actionbus.contracts.records import InRecord, OutRecord
from actionbus.contracts.topics import Topics
from actionbus.kafka import batches
from actionbus.kafka.admin import committed
from actionbus.kafka.cluster import Cluster
from actionbus.kafka.connection import Connection
from actionbus.kafka.producer import IdempotentProducer
from actionbus.kafka.reader import PartitionReader
from actionbus.kafka.transaction import TransactionalProducer
from actionbus.orchestrator.log import Place, Slot, Writer
from actionbus.process import crashing

TOPIC_SECONDS: Final = 2.0  # how long a shard may wait to hear whether a topic exists


class KafkaLog:
    """Connections of one process; use it as an async context manager."""

    def __init__(self, connection: Connection, topics: Topics, limits: Limits) -> None:
        self._connection = connection
        self._topics = topics
        self._limits = limits
        self._cluster = Cluster(connection)
        self._reader = PartitionReader(connection, limits=limits)
        self._producer = IdempotentProducer(connection, limits=limits)

    async def __aenter__(self) -> Self:
        await self._cluster.start()
        await self._reader.start()
        await self._producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.close()
        await self._reader.close()
        await self._cluster.close()

    async def flush(self) -> None:
        """Return when every command is acknowledged or given up."""
        await self._producer.flush()

    async def fence(self, shard: int, slot: Slot) -> Writer:
        """Take one transactional id over."""
        topics = self._topics
        own = [(topic, shard) for topic in (topics.state, topics.events, topics.dead_letters)]
        own += [(topics.requests, each) for each in range(await self._cluster.partitions(topics.requests))]
        writer = TransactionalProducer(
            self._connection,
            topics.transactional_id(shard, slot),
            limits=self._limits,
            ending=self._end,
            own=own,
        )
        try:
            await writer.start()
        except BaseException:
            await writer.close()
            raise
        return writer

    async def _end(self, places: Collection[Place], end: Awaitable[None]) -> None:
        """Let a transaction end that is written, unless this process does."""
        crashing.visit(crashing.Point.TRANSACTION_WRITTEN)
        topics = {topic for topic, _ in places}
        if topics - {self._topics.state, self._topics.events, self._topics.dead_letters}:
            crashing.visit(crashing.Point.OTHERS_WRITTEN)
        if self._topics.dead_letters in topics:
            crashing.visit(crashing.Point.LETTER_WRITTEN)
        await crashing.sent(crashing.Point.END_SENT, end)

    async def earliest(self, topic: str, partition: int) -> int:
        """The oldest offset that the partition still holds."""
        return await self._reader.earliest(topic, partition)

    async def ends(self, places: Iterable[Place], *, committed: bool) -> dict[Place, int]:
        """The ends of many partitions for readers of committed records, or of all; what is not known is left out."""
        return await self._reader.ends(places, committed=committed)

    async def held_back(self, topic: str, partition: int) -> int | None:
        """Where a transaction begins that is still open; raises Unavailable when its leader does not say."""
        place = (topic, partition)
        stable = (await self._reader.ends([place], committed=True)).get(place)
        written = (await self._reader.ends([place], committed=False)).get(place)
        if stable is None or written is None:
            raise Unavailable(f"no broker says where partition {partition} of topic {topic} ends")
        return stable if stable < written else None

    async def written_at(self, topic: str, partition: int, start: int, end: int) -> int | None:
        """When the first record between two offsets was written; None: there are none but markers."""
        return await self._reader.written_at(topic, partition, start, end)

    def read(self, topic: str, partition: int, start: int) -> AsyncGenerator[list[InRecord]]:
        """Committed records from ``start`` to the end as it is now."""
        return cast("AsyncGenerator[list[InRecord]]", self._reader.read_to_end(topic, partition, start=start))

    def follow(self, positions: Mapping[Place, int]) -> AsyncGenerator[list[InRecord]]:
        """Committed records from these offsets on, for ever."""
        return self._reader.follow(positions)

    def publish(self, topic: str, partition: int, records: Sequence[OutRecord]) -> asyncio.Future[int]:
        """Write outside any transaction, in as many batches as needed; done when the last is acknowledged."""
        parts = [
            self._producer.append(topic, partition, part)
            for part in batches.split(records, limit=self._limits.batch_bytes)
        ]
        return parts[0] if len(parts) == 1 else _together(parts)

    async def passed(self, group: str, topic: str, partition: int, before_ms: int) -> bool:
        """Whether a consumer group has passed every record of a partition that was written before that time."""
        stored = await committed(self._cluster, group, [(topic, partition)])
        reached = stored.get((topic, partition))
        return reached is not None and reached.offset >= await self._reader.since(topic, partition, before_ms)

    async def partitions(self, topic: str) -> int | None:
        """How many partitions a topic has; None when it is missing or may not be seen. Raises Unavailable."""
        try:
            return await self._cluster.partitions(topic, within=TOPIC_SECONDS)
        except (TopicMissing, AccessRefused):
            return None


def _together(parts: Sequence[asyncio.Future[int]]) -> asyncio.Future[int]:
    """One future for several: the first offset, or the first failure, once all of them are done."""
    whole: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    left = len(parts)

    def done(_: asyncio.Future[int]) -> None:
        nonlocal left
        left -= 1
        if left or whole.done():
            return
        failures = [error for part in parts if not part.cancelled() and (error := part.exception()) is not None]
        if failures:
            whole.set_exception(failures[0])
        elif any(part.cancelled() for part in parts):
            whole.cancel()
        else:
            whole.set_result(parts[0].result())

    for part in parts:
        part.add_done_callback(done)
    return whole
