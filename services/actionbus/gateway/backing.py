"""What the gateway stands on: the client over Kafka, the visibility database, the definitions, the cluster.

Opened once and shared by all requests. What is away when it starts is looked for again, and what goes away later is
noticed, so that requests which need it are refused at once instead of piling up.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from typing import Any, Final, Self, TypeVar

import structlog
from fastapi import Request

from actionbus.client import Client
from actionbus.contracts.errors import ActionbusError, Unavailable
from actionbus.contracts.topics import Topics
from actionbus.gateway.definitions import Definitions
from actionbus.kafka.admin import Admin
from actionbus.kafka.cluster import Cluster
from actionbus.kafka.reader import PartitionReader
from actionbus.process.settings import Settings
from actionbus.visibility.database import Database
from actionbus.visibility.insights import Insights
from actionbus.visibility.questions import Questions

AGAIN_SECONDS: Final = 2.0  # between two attempts to reach brokers, and between two looks at whether they answer
SILENCE_SECONDS: Final = 10.0  # a look that takes as long found nobody; a busy broker answers within some seconds
CLOSE_SECONDS: Final = 5.0  # for what is not acknowledged yet when the gateway ends; who asked for it has gone

T = TypeVar("T")
_log = structlog.get_logger(__name__)


class Kafka:
    """What is asked of the brokers."""

    def __init__(self, settings: Settings) -> None:
        connection = settings.kafka.connection("actionbus-gateway")
        codec = settings.registry.codec()
        self.topics = Topics(settings.prefix)
        self.codec = codec
        self.client = Client(
            connection,
            settings.prefix,
            codec=codec,
            limits=settings.limits,
            verdict_seconds=settings.gateway.verdict_seconds,
        )
        self.definitions = Definitions(connection, self.topics, codec)
        self.admin = Admin(connection)
        self._cluster = Cluster(connection)
        self.reader = PartitionReader(connection, isolation="read_uncommitted", limits=settings.limits)
        self.events = PartitionReader(connection, limits=settings.limits)
        self._addresses = ",".join(settings.kafka.bootstrap_servers)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.client)
            stack.push_async_callback(self.definitions.close)
            await self.definitions.start()
            await stack.enter_async_context(self.admin)
            await stack.enter_async_context(self.reader)
            await stack.enter_async_context(self.events)
            await stack.enter_async_context(self._cluster)
            self._opened = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._opened.aclose()

    async def away(self) -> str | None:
        """Why nothing can be asked of the brokers now; None when one of them answers."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SILENCE_SECONDS):
                if await self._cluster.answers():
                    return None
        return f"no Kafka broker answers at {self._addresses} any more"

    async def partitions(self, topic: str) -> int:
        """How many partitions a topic has; raises TopicMissing or Unavailable."""
        return await self._cluster.partitions(topic)


class Backing:
    """Everything that requests are answered from. Enter it; ``not_ready`` says what was never there."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.codec = settings.registry.codec()
        self.database = Database(settings.visibility.url.get_secret_value())
        self.questions = Questions(self.database)
        self.insights = Insights(self.database)
        self.streams = 0
        """Who follows a run at the moment."""
        self.stopping = asyncio.Event()
        """Set when the gateway ends: whoever streams or waits ends then."""
        self._kafka: Kafka | None = None
        self._away: str | None = "it is starting"
        self.watching: asyncio.Task[None]
        """Reaches the brokers and watches them for as long as this is entered; it ends only by a mistake."""

    @property
    def kafka(self) -> Kafka:
        """What is asked of the brokers; raises Unavailable while none of them answers."""
        if self._kafka is None or self._away is not None:
            raise Unavailable(f"Kafka is away: {self._away}")
        return self._kafka

    @property
    def definitions(self) -> Definitions:
        """What is deployed, as far as it was read, also while the brokers are away; raises Unavailable before."""
        return self.kafka.definitions if self._kafka is None else self._kafka.definitions

    def not_ready(self) -> list[str]:
        """Why requests cannot be answered; nothing once the brokers were reached.

        What goes away later is said by ``/v1/health``: all gateways lose it at once, and taking all of them out of
        service would take along what can still be answered.
        """
        return [] if self._kafka is not None else [f"Kafka: {self._away}"]

    async def kafka_away(self) -> str | None:
        """Why the brokers cannot be asked, looked at anew; None when they can."""
        if self._kafka is not None:
            self._away = await self._kafka.away()
        return self._away

    async def __aenter__(self) -> Self:
        await self.database.__aenter__()
        self.watching = asyncio.create_task(self._open(), name="backing")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.watching.cancel()
        await asyncio.gather(self.watching, return_exceptions=True)
        await self.database.__aexit__(None, None, None)

    async def until_stopping(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for something, but not beyond the moment in which the gateway ends; raises Unavailable then."""
        working, stopping = asyncio.create_task(work), asyncio.create_task(self.stopping.wait())
        try:
            await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            raise Unavailable("the gateway ends: ask another one")
        finally:
            working.cancel()
            stopping.cancel()
            await asyncio.gather(working, stopping, return_exceptions=True)

    async def _open(self) -> None:
        """Reach the brokers, however long it takes, and look whether they answer until it is cancelled."""
        while True:
            try:
                async with Kafka(self.settings) as kafka:
                    self._kafka, self._away = kafka, None
                    await self._watch()
            except ActionbusError as error:
                self._away = str(error)
                _log.warning("the brokers are not reached yet", reason=self._away)
                await asyncio.sleep(AGAIN_SECONDS)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(AGAIN_SECONDS)
            before = self._away
            after = await self.kafka_away()
            if after != before:
                _log.warning("the brokers answer again" if after is None else "no broker answers", reason=after)


def of(request: Request) -> Backing:
    """The backing of the application that a request came to."""
    return request.app.state.backing
