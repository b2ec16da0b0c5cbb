"""T03: a process that ends between any two effects, at the first to the fifth visit of each point that it has.

What brings a process to a point is mostly the transfers that are under way; what they do not bring is sent to it.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from random import Random

from actionbus.contracts.records import OutRecord
from actionbus.contracts.topics import Topics
from actionbus.kafka.cluster import Cluster
from actionbus.kafka.producer import IdempotentProducer
from actionbus.process import crashing
from actionbus.process.crashing import Point
from faults import bank_app
from faults.fault import Fault
from faults.house import House, Setting, under_load
from integration.installation import Service

VISITS = 5
ONCE = (Point.SUSPECT_RECORDED, Point.RELAY_FOUND)  # visited once in the life of a process, or once in half a minute
EXIT_SECONDS = 300.0
OLD_SECONDS = 11.0  # after which the relay takes a result for one that was left behind
GARBAGE = OutRecord(key=b"nobody", value=b"\xff of no schema")


def cases(service: str) -> list[tuple[Point, int]]:
    """Every point of a service with every visit that ends it."""
    return [
        (point, visit)
        for point in crashing.points(service)
        for visit in range(1, VISITS + 1)
        if visit == 1 or point not in ONCE
    ]


async def _spoil(house: House, topic: str) -> None:
    """A record that nobody can read, in every partition of a topic."""
    connection = house.installation.connection
    async with IdempotentProducer(connection) as producer, Cluster(connection) as brokers:
        every = range(await brokers.partitions(topic))
        await asyncio.gather(*(producer.append(topic, each, [GARBAGE]) for each in every))


async def _letter_to_the_shards(house: House, _: Service) -> None:
    await _spoil(house, Topics(house.installation.prefix).requests)


async def _letter_to_the_workers(house: House, _: Service) -> None:
    await _spoil(house, Topics(house.installation.prefix).commands("settle"))


async def _failing_transfer(house: House, _: Service) -> None:
    house.load.begin(bank_app.fails)


async def _leave(_: House, victim: Service) -> None:
    """Ask once: a second time would end it at once."""
    victim.signal(signal.SIGTERM)
    await asyncio.to_thread(victim.process.wait)


PRODS: dict[Point, Callable[[House, Service], Awaitable[None]]] = {
    Point.LETTER_WRITTEN: _letter_to_the_shards,
    Point.LETTER_PUBLISHED: _letter_to_the_workers,
    Point.COMMITTED_UNDO: _failing_transfer,
    Point.COMMITTED_FAILURE: _failing_transfer,
    Point.CANCEL_INSERTED: _failing_transfer,
    Point.CANCEL_COMMITTED: _failing_transfer,
    Point.RELEASING: _leave,
    Point.RELEASED: _leave,
}


async def _end_at(house: House, victim: Service, point: Point, visit: int) -> None:
    """Start a process that ends itself at a point, bring it there, and start it again without."""
    victim.kill()
    if point in (Point.RELAY_FOUND, Point.RELAY_PUBLISHED):
        await asyncio.sleep(OLD_SECONDS)  # what was published a moment before the kill has kept its row until then
    victim.environment[crashing.VARIABLE] = f"{point.label}:{visit}"
    victim.start()
    try:
        async with asyncio.timeout(EXIT_SECONDS):
            while victim.process.poll() is None:
                if (prod := PRODS.get(point)) and (await asyncio.to_thread(victim.get, "/ready"))[0] == 200:
                    await prod(house, victim)
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"{victim.name} did not come to {point.label} {visit} times:\n{victim.output}") from None
    finally:
        del victim.environment[crashing.VARIABLE]
    code = victim.process.returncode
    assert code == crashing.EXIT_CODE, f"{victim.name} ended with {code} before {point.label}:\n{victim.output}"
    house.struck()
    victim.start()
    await house.recovered()


def _crashes(service: str, setting: Setting):
    async def crashes(house: House, count: int) -> None:
        await _end_all(house, getattr(house, f"{service}s")[0], cases(service), count, house.chance)

    return under_load(crashes, setting)


async def _end_all(house: House, victim: Service, wanted: list, count: int, chance: Random) -> None:
    """All cases in a random order, so many of them; none comes twice before each has come once."""
    for number in range(count):
        if number % len(wanted) == 0:
            chance.shuffle(wanted)
        await _end_at(house, victim, *wanted[number % len(wanted)])


# One process of the kind, so that each point is visited by the one that is to end; more shards than visits.
_ONE = Setting(orchestrators=1, workers=1, shards=VISITS + 1, in_flight=12)

FAULTS = tuple(
    Fault(
        id=f"T03/{service}",
        name=f"{service} ends at each point",
        what=f"the process of the {service} ends itself at visit 1 to {VISITS} of each of its "
        f"{len(crashing.points(service))} crash points, one after the other, and is started again",
        play=_crashes(service, _ONE),
        short=2,
        each=len(cases(service)),
        published=rounds * len(cases(service)),
        full=5 * len(cases(service)),
    )
    for service, rounds in (("orchestrator", 3), ("worker", 3))
)
