"""T15: everything ends at once, as when power fails, and a broker loses what it had not yet written to its disk."""

import asyncio
from dataclasses import replace
from pathlib import Path
from random import Random

from faults.fault import Fault, Outcome
from faults.ground import Ground
from faults.house import House, Setting, judged, opened, under_load
from support import apache_kafka, postgres

UNWRITTEN_BYTES = 65_536  # at most, of one partition
METADATA = "__cluster_metadata"  # what a controller acknowledges it has written through to the disk


async def _everything(ground: Ground, count: int, chance: Random) -> Outcome:
    """Brokers, database and all processes end in the same moment and are started again in any order."""
    with (
        ground.room("power") as room,
        postgres.server() as server,
        apache_kafka.running(room / "kafka") as cluster,
    ):
        own = replace(ground, postgres=lambda: server.url)
        async with opened(own, room, cluster, chance, Setting()) as house:
            for _ in range(count):
                await house.pause(2.0)
                server.kill()
                end_everything(house)
                house.struck()
                await booted(house, server)
                await house.recovered()
            return await judged(house)


def end_everything(house: House) -> None:
    """Kill -9 of whatever there is but databases."""
    for node in house.cluster.nodes:
        house.cluster.kill_node(node)
    for service in house.services:
        service.kill()


async def booted(house: House, *servers: postgres.Server) -> None:
    """Start everything, in any order; a service that meets no brokers yet waits for them."""
    everything = [*house.services, *house.cluster.nodes, *servers]
    for what in house.chance.sample(everything, k=len(everything)):
        if isinstance(what, apache_kafka.Node):
            house.cluster.start_node(what, wait=False)
        elif isinstance(what, postgres.Server):
            await asyncio.to_thread(what.start)
        else:
            what.start()
    for node in house.cluster.nodes:
        await asyncio.to_thread(house.cluster.wait_for, node)
    await _supervised(house)


async def _supervised(house: House) -> None:
    """Start again what has given up because its surroundings were not there yet, as a supervisor does."""
    for service in house.services:
        while service.get("/ready")[0] != 200:
            if service.process is not None and service.process.poll() is not None:
                service.start()
            await asyncio.sleep(0.5)


async def _unwritten(house: House, count: int) -> None:
    """One of three brokers comes back without the end of each partition that it had in memory only."""
    for _ in range(count):
        await house.pause(2.0)
        node = house.chance.choice(house.cluster.nodes)
        house.cluster.kill_node(node)
        for segments in _logs(node.folder / "data"):
            _forget(segments[-1], house.chance)
        house.struck()
        house.cluster.start_node(node, wait=False)
        await asyncio.to_thread(house.cluster.wait_for, node)
        await house.recovered()


def _logs(data: Path) -> list[list[Path]]:
    """The segments of each partition, oldest first, but for those of the metadata."""
    folders = [each for each in sorted(data.iterdir()) if each.is_dir() and not each.name.startswith(METADATA)]
    return [segments for folder in folders if (segments := sorted(folder.glob("*.log")))]


def _forget(segment: Path, chance: Random) -> None:
    size = segment.stat().st_size
    lost = chance.randint(0, min(size, UNWRITTEN_BYTES))
    with segment.open("r+b") as file:
        file.truncate(size - lost)


FAULTS = (
    Fault(
        id="T15/everything",
        name="power fails",
        what="kill -9 of the only broker, the database, every orchestrator and every worker in the same moment; all of "
        "it started again, in any order",
        play=_everything,
        short=1,
        each=5,
        published=20,
        full=20,
    ),
    Fault(
        id="T15/unwritten",
        name="a broker loses what it had in memory",
        what="kill -9 of one of three brokers, which comes back without up to 64 KiB at the end of each of its "
        "partitions",
        play=under_load(_unwritten, Setting(brokers=3)),
        short=1,
        each=5,
        published=20,
        full=20,
    ),
)
