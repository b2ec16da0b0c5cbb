"""T14: so many brokers down at once that nothing can be written, and back."""

import asyncio

from faults.fault import Fault
from faults.house import House, Setting, under_load

LONG_SECONDS = 60.0
SHORT_SECONDS = 5.0  # of a single outage, as the suite has time for
THREE = Setting(brokers=3)


async def _outages(house: House, count: int, victims: int) -> None:
    for _ in range(count):
        await house.pause(2.0)
        nodes = house.chance.sample(house.cluster.nodes, victims)
        try:
            for node in nodes:
                house.cluster.kill_node(node)
            house.struck()
            await asyncio.sleep(LONG_SECONDS if count > 1 else SHORT_SECONDS)
        finally:
            for node in nodes:
                house.cluster.start_node(node, wait=False)
        for node in nodes:
            await asyncio.to_thread(house.cluster.wait_for, node)
        await house.recovered()


async def _two_down(house: House, count: int) -> None:
    await _outages(house, count, 2)


async def _all_down(house: House, count: int) -> None:
    await _outages(house, count, 3)


FAULTS = (
    Fault(
        id="T14/two",
        name="two of three brokers down",
        what="kill -9 of two of three brokers, which are back after 60 s",
        play=under_load(_two_down, THREE),
        short=1,
        each=4,
        published=20,
        full=20,
    ),
    Fault(
        id="T14/all",
        name="all brokers down",
        what="kill -9 of all three brokers, which are back after 60 s",
        play=under_load(_all_down, THREE),
        short=1,
        each=4,
        published=20,
        full=20,
    ),
)
