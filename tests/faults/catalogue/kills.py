"""T04: processes that end as kill -9 ends them, at any moment, one after the other."""

import asyncio

from faults.fault import Fault
from faults.house import House, Setting, under_load
from integration.installation import Service


async def kill(house: House, services: list[Service], count: int) -> None:
    """Kill one of these at a random moment and start it again, so many times."""
    for _ in range(count):
        await house.pause(0.5)
        victim = house.chance.choice(services)
        victim.kill()
        house.struck()
        victim.start()
        await house.recovered()


async def orchestrators(house: House, count: int) -> None:
    """Kill orchestrators."""
    await kill(house, house.orchestrators, count)


async def workers(house: House, count: int) -> None:
    """Kill workers."""
    await kill(house, house.workers, count)


async def _storm(house: House, count: int) -> None:
    """Any process, without waiting for the one before to be back."""
    for _ in range(count):
        await asyncio.sleep(house.chance.expovariate(1.0))
        victim = house.chance.choice(house.services)
        victim.kill()
        house.struck()
        victim.start()
    await house.recovered()


FAULTS = (
    Fault(
        id="T04/orchestrator",
        name="orchestrator killed",
        what="kill -9 of one of two orchestrators at a random moment, started again at once, the next kill when every "
        "shard works again",
        play=under_load(orchestrators),
        short=3,
        each=50,
        published=500,
        full=1_000,
    ),
    Fault(
        id="T04/worker",
        name="worker killed",
        what="kill -9 of one of two workers at a random moment, started again at once, the next kill when every shard "
        "works again",
        play=under_load(workers),
        short=3,
        each=50,
        published=500,
        full=1_000,
    ),
    Fault(
        id="T04/storm",
        name="all killed, no pause",
        what="kill -9 of any orchestrator or worker, the next one a second later on average, whether the last is back "
        "or not",
        play=under_load(_storm, Setting(named=False)),
        short=4,
        each=100,
        published=100,
        full=2_000,
    ),
)
