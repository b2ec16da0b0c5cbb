"""What faults are played on: brokers, databases and folders of this machine, each made when it is first asked for."""

import itertools
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from support import apache_kafka
from support.apache_kafka import ApacheKafka


@dataclass
class Ground:
    """``cluster`` and ``postgres`` give what is shared: whoever breaks it mends it again."""

    folder: Path
    cluster: Callable[[int], ApacheKafka]
    """The shared cluster of one or of three nodes."""
    postgres: Callable[[], str]
    """The address of a PostgreSQL server's own database, for SQLAlchemy with asyncpg."""
    keep: bool = False
    """Whether the folder of a round is kept when all went well."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def room(self, name: str) -> Iterator[Path]:
        """An empty folder for one round; removed afterwards, unless the round ends with an error."""
        path = self.folder / f"{name}-{next(self._numbers)}"
        path.mkdir(parents=True)
        yield path
        if not self.keep:
            shutil.rmtree(path)

    @contextmanager
    def own_cluster(
        self, room: Path, size: int = 1, settings: Mapping[str, str] | None = None
    ) -> Iterator[ApacheKafka]:
        """A cluster for one round, with settings of its own, for faults that a shared one would not survive."""
        with apache_kafka.running(room / "kafka", size=size, settings=dict(settings or {})) as cluster:
            yield cluster

    async def database(self, name: str) -> str:
        """The address of an empty database."""
        url = self.postgres()
        admin = create_async_engine(url, isolation_level="AUTOCOMMIT")
        async with admin.connect() as connection:
            await connection.execute(text(f'CREATE DATABASE "{name}"'))
        await admin.dispose()
        return url.replace("/postgres?", f"/{name}?")
