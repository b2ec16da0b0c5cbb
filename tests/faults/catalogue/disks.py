"""T25: disks that are full, of brokers, of the database and of the local store of orchestrators, and freed again."""

import asyncio
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from random import Random

from faults.fault import Fault, Outcome
from faults.ground import Ground
from faults.house import House, Setting, judged, opened
from faults.machine import SmallDisk, small_disk
from support import apache_kafka, postgres

BROKER_MIB = 192
DATABASE_MIB = 192
STORE_MIB = 4
STUCK_SECONDS = 2.0  # without any transfer ending: the disk is felt
FELT_SECONDS = 60.0  # at most: what was preallocated may last for long
FULL_SECONDS = 5.0  # at most, after it is felt


async def _felt(house: House) -> None:
    """Return when nothing ends any more."""
    with suppress(TimeoutError):
        async with asyncio.timeout(FELT_SECONDS):
            before = -1
            while len(house.load.outcomes) > before:
                before = len(house.load.outcomes)
                await asyncio.sleep(STUCK_SECONDS)


async def _broker(ground: Ground, count: int, chance: Random) -> Outcome:
    """A broker with nowhere to write ends itself; it is started again when there is room."""
    with (
        ground.room("full-broker") as room,
        small_disk(room / "kafka", BROKER_MIB) as disk,
        apache_kafka.running(room / "kafka") as cluster,
    ):
        (node,) = cluster.nodes
        async with opened(ground, room, cluster, chance, Setting()) as house:
            for _ in range(count):
                await house.pause(1.0)
                disk.fill()
                house.struck()
                await _felt(house)
                await house.pause(FULL_SECONDS)
                disk.free()
                if node.process.poll() is not None:
                    cluster.start_node(node, wait=False)
                await asyncio.to_thread(cluster.wait_for, node)
                await house.recovered()
            return await judged(house)


async def _database(ground: Ground, count: int, chance: Random) -> Outcome:
    """What PostgreSQL cannot write fails, or ends the whole server, which is started again when there is room."""
    # As short as a socket's path has to be.
    with small_disk(Path(tempfile.mkdtemp(prefix="abpg-")), DATABASE_MIB) as disk, ground.room("full-bank") as room:
        data = disk.folder / "data"
        data.mkdir()
        with postgres.server(data) as server:
            own = replace(ground, postgres=lambda: server.url)
            async with opened(own, room, ground.cluster(1), chance, Setting()) as house:
                for _ in range(count):
                    await house.pause(1.0)
                    disk.fill()
                    house.struck()
                    await _felt(house)
                    await house.pause(FULL_SECONDS)
                    disk.free()
                    await asyncio.to_thread(server.start)
                    await house.recovered()
                return await judged(house)


async def _store(ground: Ground, count: int, chance: Random) -> Outcome:
    """An orchestrator leaves, or is killed, and comes back while its folder is full, and once more with room in it."""
    with ground.room("full-store") as room, ExitStack() as stack:
        names = [f"orchestrator-{n}" for n in range(Setting().orchestrators)]
        disks = {name: stack.enter_context(small_disk(room / name, STORE_MIB)) for name in names}
        async with opened(ground, room, ground.cluster(1), chance, Setting()) as house:
            for _ in range(count):
                await house.pause(1.0)
                victim = chance.choice(house.orchestrators)
                await _restarted_full(house, victim, disks[victim.name])
            return await judged(house)


async def _restarted_full(house: House, victim, disk: SmallDisk) -> None:
    disk.fill()
    house.struck()
    for room in (False, True):
        if room:
            disk.free()
        if house.chance.random() < 0.5:
            victim.kill()
        else:
            await asyncio.to_thread(victim.stop)
        victim.start()
        await house.load.probe()
    await house.recovered()


FAULTS = (
    Fault(
        id="T25/broker",
        name="broker's disk full",
        what="the disk of the only broker filled to the last byte until nothing ends any more, then freed, and the "
        "broker started again where it has ended itself",
        play=_broker,
        short=1,
        each=5,
        published=20,
        full=20,
    ),
    Fault(
        id="T25/database",
        name="database's disk full",
        what="the disk of PostgreSQL, data and log, filled to the last byte until nothing ends any more, then freed, and "
        "the server restarted",
        play=_database,
        short=1,
        each=5,
        published=20,
        full=20,
    ),
    Fault(
        id="T25/store",
        name="orchestrator's disk full",
        what="the disk of an orchestrator's local store filled to the last byte; the orchestrator stopped or killed and "
        "started again while it is full, and once more when it is freed",
        play=_store,
        short=1,
        each=5,
        published=20,
        full=20,
    ),
)
