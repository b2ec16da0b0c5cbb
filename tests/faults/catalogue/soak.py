"""T31: everything at once and for long, while some processes are spared and must not grow."""

from dataclasses import replace
from random import Random

from faults.catalogue import kills, partitioning, readers
from faults.fault import Fault, Outcome
from faults.ground import Ground
from faults.house import House, Inject, Setting, judged, opened
from faults.leaks import Usage, watched

NEMESES: tuple[Inject, ...] = (
    kills.orchestrators,
    kills.workers,
    readers.projectors,
    readers.gateways,
    readers.aborted,
    partitioning.misrouted,
)
"""Each injects once into a house and mends it; whoever adds one adds it here."""
SETTING = Setting(orchestrators=3, workers=3, projectors=2, gateways=2)
LONG_HOURS = 1.0  # a line through less says nothing about an hour
MOST_GROWTH = 1.0  # per cent an hour
MOST_FILES = 1.0  # descriptors an hour


async def soaked(ground: Ground, count: int, chance: Random) -> Outcome:
    """So many nemeses in random order, one after the other; the first process of each kind is spared, and watched."""
    with ground.room("soaked") as room:
        async with opened(ground, room, ground.cluster(SETTING.brokers), chance, SETTING) as house:
            spared = [each[0] for each in (house.orchestrators, house.workers, house.projectors, house.gateways)]
            struck = _without_the_first(house)
            async with watched(spared) as usage:
                for _ in range(count):
                    await chance.choice(NEMESES)(struck, 1)
            house.injected = struck.injected
            outcome = await judged(house)
            return replace(outcome, note=str(usage), faults=outcome.faults | _grown(usage))


def _without_the_first(house: House) -> House:
    """What nemeses may see of it: the load, the bank and the recoveries are the same."""
    return replace(
        house,
        orchestrators=house.orchestrators[1:],
        workers=house.workers[1:],
        projectors=house.projectors[1:],
        gateways=house.gateways[1:],
    )


def _grown(usage: Usage) -> dict[str, list[str]]:
    """Which of the spared grow, where that was looked at for long enough."""
    if usage.hours < LONG_HOURS:
        return {}
    grown = [
        f"{name} grows: {usage}"
        for name in usage.rss
        if (usage.growth(name) or 0) > MOST_GROWTH or (usage.files[name].per_hour or 0) > MOST_FILES
    ]
    return {"disordered": grown} if grown else {}


FAULTS = (
    Fault(
        id="T31",
        name="soak",
        what="nemeses of this table at random, one after the other, on an installation of every service; one process of "
        "each kind is spared, and its memory and descriptors are measured",
        play=soaked,
        short=3,
        each=4_000,
        published=120,
        full=4_000,
    ),
)
