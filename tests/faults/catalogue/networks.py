"""T23 and T24: ways between services and brokers that are split, slow, torn, or bring what they brought before."""

import asyncio
from collections.abc import Callable
from random import Random

from faults.fault import Fault, Outcome
from faults.ground import Ground
from faults.house import House, Setting, judged, opened, under_load
from faults.machine import networks
from faults.wire import Wire
from support import apache_kafka

BAD_SECONDS = 10.0  # the longest that a disturbance lasts; longer than a session, so that members are given up
SPLIT_SECONDS = 15.0  # at most; brokers give one another up after 5 s
FLAPS, FLAP_SECONDS = 3, 3.0
WIRED = Setting(wired=True)


async def _disturb(house: House, wires: list[Wire], disturb: Callable[[Wire], None], seconds: float) -> None:
    """One disturbance, and its end."""
    try:
        for wire in wires:
            disturb(wire)
        house.struck()
        await asyncio.sleep(seconds)
    finally:
        for wire in wires:
            wire.mend()


async def _weather(house: House, count: int) -> None:
    """Every wire is late, torn, slow or repeats itself; each round begins with another of the four."""
    first = house.chance.randrange(4)
    for number in range(count):
        await house.pause(1.0)
        disturb = (
            lambda wire: wire.delay(house.chance),
            lambda wire: wire.tear(house.chance),
            Wire.crawl,
            Wire.repeat,
        )[(first + number) % 4]
        await _disturb(house, list(house.wires.values()), disturb, house.chance.uniform(1, BAD_SECONDS))
        await house.recovered()


async def _splits(house: House, count: int) -> None:
    """All services or one of them are cut off, in both directions or in one."""
    for _ in range(count):
        await house.pause(1.0)
        all_ = list(house.wires.values())
        wires = all_ if house.chance.random() < 0.25 else [house.chance.choice(all_)]
        requests, replies = house.chance.choice([(True, True), (True, False), (False, True)])
        await _disturb(
            house,
            wires,
            lambda wire, requests=requests, replies=replies: wire.close(requests=requests, replies=replies),
            house.chance.uniform(1, BAD_SECONDS),
        )
        await house.recovered()


async def _flapping(house: House, count: int) -> None:
    """The way of one service comes and goes; each time that it goes is an injection."""
    while house.injected < count:
        wire = house.chance.choice(list(house.wires.values()))
        for _ in range(min(FLAPS, count - house.injected)):
            await _disturb(house, [wire], Wire.close, FLAP_SECONDS)
            await asyncio.sleep(FLAP_SECONDS)
        await house.recovered()


async def _brokers(ground: Ground, count: int, chance: Random) -> Outcome:
    """Brokers do not hear one another, or nobody hears one of them."""
    environment = {"ACTIONBUS_NONCE_CURRENT": chance.randbytes(32).hex()}  # their address is none of the loopback
    with (
        ground.room("brokers") as room,
        networks(3) as ways,
        apache_kafka.running(room / "kafka", size=3, places=ways.places) as cluster,
    ):
        setting = Setting(brokers=3, environment=environment)
        async with opened(ground, room, cluster, chance, setting) as house:
            for _ in range(count):
                await house.pause(1.0)
                try:
                    one, other = chance.sample(range(3), 2)
                    chance.choice(
                        [lambda: ways.part(range(3)), lambda: ways.part([one, other]), lambda: ways.unplug(one)]  # noqa: B023 - called at once
                    )()
                    house.struck()
                    await house.pause(SPLIT_SECONDS)
                finally:
                    ways.mend()
                await house.recovered()
            return await judged(house)


FAULTS = (
    Fault(
        id="T23/brokers",
        name="brokers split",
        what="for up to 15 s no broker of three hears another, or two of them do not hear each other, or nobody hears "
        "one of them",
        play=_brokers,
        short=1,
        each=10,
        published=60,
        full=200,
    ),
    Fault(
        id="T24/weather",
        name="a bad network",
        what="for up to 10 s every frame between services and brokers is up to 2 s late, or one byte passes in a "
        "second, or every reply comes twice, or every service has a connection reset in the middle of a frame",
        play=under_load(_weather, WIRED),
        short=2,
        each=10,
        published=60,
        full=300,
    ),
    Fault(
        id="T23/services",
        name="services split from brokers",
        what="for up to 10 s nothing passes between the brokers and one service, or all of them: in both directions, or "
        "only requests or only replies; what was under way arrives late",
        play=under_load(_splits, WIRED),
        short=2,
        each=10,
        published=60,
        full=200,
    ),
    Fault(
        id="T23/flapping",
        name="a network that comes and goes",
        what="the way between one service and the brokers is gone for 3 s and back for 3 s, three times",
        play=under_load(_flapping, WIRED),
        short=1,
        each=15,
        published=60,
        full=200,
    ),
)
