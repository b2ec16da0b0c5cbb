"""What a client and its handles share: a producer of requests, a tail of events, an archive; opened when needed."""

import asyncio
import time
import uuid
from collections.abc import Awaitable
from typing import Final, TypeVar

from actionbus.client.archive import Archive
from actionbus.client.tail import Tail
from actionbus.contracts import headers
from actionbus.contracts.errors import Unavailable
from actionbus.contracts.limits import Limits
from actionbus.contracts.records import Headers, OutRecord
from actionbus.contracts.requests import WorkflowRequest
from actionbus.contracts.results import ActionResult
from actionbus.contracts.topics import Topics
from actionbus.kafka.cluster import Cluster
from actionbus.kafka.codec import Codec
from actionbus.kafka.connection import Connection
from actionbus.kafka.partitioning import partition_for
from actionbus.kafka.producer import IdempotentProducer
from actionbus.process import tracing

SOURCE: Final = "client"
T = TypeVar("T")


class Desk:
    """Opens connections once and hands them to whoever needs them."""

    def __init__(
        self, connection: Connection, topics: Topics, *, codec: Codec, limits: Limits, verdict_seconds: float
    ) -> None:
        self.topics = topics
        self.limits = limits
        self.verdict_seconds = verdict_seconds
        self._connection = connection
        self._codec = codec
        self._shards = 0
        self._producer: IdempotentProducer | None = None
        self._tail: Tail | None = None
        self._archive: Archive | None = None
        self._opening = asyncio.Lock()

    @property
    def shards(self) -> int:
        """The number of shards of the installation."""
        return self._shards

    async def open(self) -> None:
        """Learn the number of shards; raises Unavailable, AccessRefused, or TopicMissing without an installation."""
        async with Cluster(self._connection) as cluster:
            self._shards = await cluster.partitions(self.topics.requests)

    async def close(self) -> None:
        """Write what was asked for, then close everything; who still waits is told so."""
        if self._producer is not None:
            await self._producer.flush()
            await self._producer.close()
        if self._tail is not None:
            await self._tail.close()
        if self._archive is not None:
            await self._archive.close()

    async def put(self, request: WorkflowRequest, *, trace: str | None = None) -> None:
        """Write a request to its shard, and return when all replicas in sync have it.

        Raises Unavailable when that was not confirmed in time: the request may be in the log all the same. Asking again
        with the same request id is safe.
        """
        topic = self.topics.requests
        with tracing.asking(topic, request, trace) as inside:
            event = headers.cloud_event("WorkflowRequest", request.request_id, SOURCE, self.now(), trace=inside)
            await self._write(topic, request, event)

    async def answer(self, result: ActionResult) -> None:
        """Write a result to its shard, and return when all replicas in sync have it. Raises what ``put`` raises."""
        name = f"{result.command_id}/{result.kind}/{uuid.uuid4().hex}"
        event = headers.cloud_event("ActionResult", name, SOURCE, self.now())
        await self._write(self.topics.results, result, event)

    async def _write(self, topic: str, what: WorkflowRequest | ActionResult, event: Headers) -> None:
        key = what.run_id.encode()
        record = OutRecord(key=key, value=self._codec.encode(what), headers=event)
        producer = self._producer or await self._open_producer()
        await producer.append(topic, partition_for(key, self._shards), [record])

    async def tail(self) -> Tail:
        """The running tail; events that come after this returned are seen."""
        if self._tail is not None and self._tail.running:
            return self._tail
        async with self._opening:
            if self._tail is not None and not self._tail.running:
                await self._tail.close()
                self._tail = None
            if self._tail is None:
                tail = Tail(self._connection, self.topics.events, self._shards, codec=self._codec, limits=self.limits)
                await tail.start()
                self._tail = tail
            return self._tail

    async def archive(self) -> Archive:
        """The open archive."""
        async with self._opening:
            if self._archive is None:
                archive = Archive(self._connection, self.topics, self._shards, codec=self._codec, limits=self.limits)
                await archive.start()
                self._archive = archive
            return self._archive

    async def within(
        self, seconds: float | None, work: Awaitable[T], what: str, late: type[Unavailable] = Unavailable
    ) -> T:
        """Wait for something; raises ``late`` when it takes longer. What is waited for is not undone by that."""
        try:
            async with asyncio.timeout(seconds):
                # A future may be waited for by others as well: giving up here must not cancel it for them.
                return await (asyncio.shield(work) if isinstance(work, asyncio.Future) else work)
        except TimeoutError as error:
            raise late(
                f"{what} was not seen within {seconds:g} s: ask again, or see whether an orchestrator runs"
            ) from error

    @staticmethod
    def now() -> int:
        """Epoch milliseconds by this machine's clock."""
        return time.time_ns() // 1_000_000

    async def _open_producer(self) -> IdempotentProducer:
        async with self._opening:
            if self._producer is None:
                producer = IdempotentProducer(self._connection, limits=self.limits)
                await producer.start()
                self._producer = producer
            return self._producer
