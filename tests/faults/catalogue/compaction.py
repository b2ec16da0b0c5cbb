"""T16: the cleaner at work on the state topic while whoever reads it stands still, and run ids that are used again."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from actionbus.client import Client
from actionbus.contracts.topics import Topics
from actionbus.kafka.reader import PartitionReader
from faults import lives_app, sleepers, views
from faults.catalogue import stores
from faults.fault import Fault, Outcome
from faults.ground import Ground
from faults.house import SESSIONS
from faults.lives import Lives, judge
from integration import books
from integration.installation import Installation, Service

APP = Path(lives_app.__file__)
ROWS = "CREATE TABLE lives (step_key TEXT NOT NULL, run_id TEXT NOT NULL, kind TEXT NOT NULL, number INTEGER NOT NULL)"
RETENTION_HOURS = "0.0003"  # a good second
CLEANER = {"log.cleaner.backoff.ms": "100", "log.cleaner.min.compaction.lag.ms": "0"}
STATE = {
    "cleanup.policy": "compact",
    "message.timestamp.type": "LogAppendTime",
    "delete.retention.ms": "1000",
    "segment.ms": "500",
    "min.cleanable.dirty.ratio": "0.01",
}
CLEANED_SECONDS = 600.0  # far above what is normal
START_SECONDS = 4.0  # the longest time after its start at which a process is frozen


@dataclass
class _Town:
    """An installation of short lives on a cluster of its own."""

    made: Installation
    url: str
    visibility: str
    orchestrators: list[Service]
    projector: Service


async def cleaned(ground: Ground, count: int, chance: Random) -> Outcome:
    """Freeze somebody who reads the state until tombstones that were written meanwhile are gone, and let him go on."""
    with ground.room("cleaned") as room:
        async with (
            _opened(ground, room, chance) as town,
            Client(town.made.connection, prefix=town.made.prefix) as client,
        ):
            async with Lives(client) as lives:
                await lives.ended(2 * lives.ids)
                recovery = [await _frozen(town, lives, chance) for _ in range(count)]
                await lives.finish()
            return await _judged(town, lives, count, recovery)


async def _frozen(town: _Town, lives: Lives, chance: Random) -> int:
    """One freeze; milliseconds from its end until so many lives have ended as there are ids."""
    victim = chance.choice([*town.orchestrators, *town.orchestrators, town.projector])
    if victim is not town.projector and chance.random() < 0.5:  # while it reads, not while it serves
        victim.kill()
        victim.start()
        await asyncio.sleep(chance.uniform(0, START_SECONDS))
    victim.signal(signal.SIGSTOP)
    try:
        await _tombstones_gone(town.made)
    finally:
        victim.signal(signal.SIGCONT)
    began = time.monotonic()
    await asyncio.to_thread(victim.wait_ready)
    await lives.ended(lives.ids)
    return round((time.monotonic() - began) * 1000)


async def _tombstones_gone(made: Installation) -> None:
    """Return once in every shard a tombstone was written from now on, and was cleaned away."""
    topic, missing = Topics(made.prefix).state, set(range(made.shards))
    seen: dict[int, set[int]] = {}
    async with PartitionReader(made.connection) as reader, asyncio.timeout(CLEANED_SECONDS):
        begin = {shard: await reader.end(topic, shard) for shard in missing}
        while missing:
            for shard in sorted(missing):
                pages = [page async for page in reader.read_to_end(topic, shard)]
                now = {each.offset for page in pages for each in page if each.value is None}
                if seen.setdefault(shard, set()) - now:
                    missing.discard(shard)
                seen[shard] |= {offset for offset in now if offset >= begin[shard]}
            await asyncio.sleep(0.2)


async def _judged(town: _Town, lives: Lives, count: int, recovery: list[int]) -> Outcome:
    made = town.made
    first, second = town.orchestrators

    async def forgotten() -> int:
        return -sum([len(await stores.live(made, shard)) for shard in range(made.shards)])

    remaining = -await sleepers.until(forgotten, 0)
    await asyncio.to_thread(second.stop)
    async with asyncio.timeout(CLEANED_SECONDS):
        while await asyncio.to_thread(first.metric, "actionbus_shards_owned") < made.shards:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.2)
    await asyncio.to_thread(first.wait_ready)
    await asyncio.to_thread(first.stop)
    published = await books.read(made.connection, made.prefix, made.shards)
    rows = await _rows(town.url, "SELECT step_key, kind, number FROM lives")
    vouched = {key for (key,) in await _rows(town.url, "SELECT key FROM actionbus_inbox WHERE status = 'DONE'")}
    faults = judge(lives, rows, published, vouched)
    disordered = [f"{remaining} runs stay in the state"] if remaining else []
    disordered += await stores.differences(made, first)
    disordered += await views.violations(town.visibility, published)
    if disordered:
        faults.setdefault("disordered", []).extend(disordered)
    return Outcome(
        injected=count,
        workflows=len(lives.begun),
        steps=len({key for key, *_ in rows}),
        effects=len(rows),
        faults=faults,
        unfinished=len(lives.begun - lives.told.keys()),
        recovery_ms=tuple(recovery),
    )


@asynccontextmanager
async def _opened(ground: Ground, room: Path, chance: Random) -> AsyncIterator[_Town]:
    prefix = f"{room.name}-{chance.getrandbits(32):08x}"
    url, visibility = await ground.database(prefix), await ground.database(f"{prefix}-views")
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text(ROWS))
    await engine.dispose()
    with ground.own_cluster(room, 1, CLEANER) as cluster:
        made = Installation(
            bootstrap=cluster.bootstrap,
            prefix=prefix,
            folder=room,
            app=APP,
            stores={"bank": url},
            extra={
                "ACTIONBUS_VISIBILITY_URL": visibility,
                "ACTIONBUS_ORCHESTRATOR_RUN_RETENTION_HOURS": RETENTION_HOURS,
                **SESSIONS,
            },
            named=True,
        )
        try:
            await asyncio.to_thread(made.prepare)
            await _clean_always(cluster.bootstrap, Topics(prefix).state)
            orchestrators = [made.orchestrator(f"orchestrator-{n}") for n in range(2)]
            made.worker()
            projector = made.projector()
            await asyncio.to_thread(made.wait_ready)
            yield _Town(made, url, visibility, orchestrators, projector)
        finally:
            made.close()


async def _clean_always(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, configs=STATE)])
    finally:
        await admin.close()


async def _rows(url: str, query: str) -> list[tuple]:
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        found = [tuple(row) for row in await connection.execute(text(query))]
    await engine.dispose()
    return found


FAULTS = (
    Fault(
        id="T16",
        name="cleaner at work, reader frozen",
        what="SIGSTOP of an orchestrator that serves, of one that starts and reads, or of the projector, until in every "
        "shard a tombstone written meanwhile was cleaned away (delete.retention.ms 1 s), and SIGCONT; runs are kept for "
        "a second, and 12 run ids are used over and over",
        play=cleaned,
        short=1,
        each=10,
        published=30,
        full=200,
    ),
)
