"""T05 and T06: processes that are taken for dead and are not, and groups whose members come and go."""

import asyncio
import signal
from pathlib import Path

from actionbus.process import crashing
from actionbus.process.crashing import Point
from faults.fault import Fault
from faults.house import House, Setting, under_load
from integration.installation import Service

STOPPED_SECONDS = 300.0
# The shortest that services take: a zombie is one after its session, and a hundred of them are not to last for hours.
SESSION_SECONDS = 3
SHORT = {f"ACTIONBUS_{role}_SESSION_TIMEOUT_MS": f"{SESSION_SECONDS}000" for role in ("ORCHESTRATOR", "WORKER")}
ZOMBIES = Setting(environment=SHORT, named=False)
AT = (Point.COMMITTED, Point.TRANSACTION_WRITTEN, Point.BEFORE_TRANSACTION, Point.ALL_PUBLISHED, Point.END_SENT)


async def _sleep(house: House, victim: Service) -> None:
    """Once all shards work without it, and so its session is over, wake it; it has to find its place again."""
    house.struck()
    await house.recovered()
    victim.signal(signal.SIGCONT)
    await house.load.probe()


async def _zombies(house: House, services: list[Service], count: int) -> None:
    for _ in range(count):
        await house.pause(0.5)
        victim = house.chance.choice(services)
        victim.signal(signal.SIGSTOP)
        await _sleep(house, victim)


async def _orchestrators(house: House, count: int) -> None:
    await _zombies(house, house.orchestrators, count)


async def _workers(house: House, count: int) -> None:
    await _zombies(house, house.workers, count)


async def _stopped(victim: Service) -> None:
    """Return once a process has stopped itself."""
    async with asyncio.timeout(STOPPED_SECONDS):
        while _state(victim) != "T":  # noqa: ASYNC110 - what changes is another process
            await asyncio.sleep(0.05)


def _state(victim: Service) -> str:
    """As Linux has it; "T" is stopped."""
    return Path(f"/proc/{victim.pid}/stat").read_text().rpartition(")")[2].split()[0]


async def _at_points(house: House, count: int) -> None:
    """An owner that stops between two effects of its own, above all between a commit and its commands."""
    for number in range(count):
        victim = house.chance.choice(house.orchestrators)
        await asyncio.to_thread(victim.stop)
        point = AT[number % len(AT)]
        victim.environment[crashing.VARIABLE] = f"{point.label}:{house.chance.randint(1, 20)}{crashing.STOP}"
        victim.start()
        del victim.environment[crashing.VARIABLE]
        await _stopped(victim)
        await _sleep(house, victim)


async def _rebalances(house: House, count: int) -> None:
    """A third orchestrator and a third worker come and go; each time their group shares its partitions out anew."""
    made = house.installation
    guests: dict[str, Service] = {}
    for _ in range(count):
        await house.pause(2.0)
        kind = house.chance.choice(("orchestrator", "worker"))
        if guest := guests.pop(kind, None):
            await asyncio.to_thread(guest.stop) if house.chance.random() < 0.5 else guest.kill()
            made.services.remove(guest)
        else:
            start = made.orchestrator if kind == "orchestrator" else made.worker
            guests[kind] = start(f"guest-{kind}")
            await asyncio.to_thread(guests[kind].wait_ready)
        house.struck()
        await house.recovered()


async def _revokes(house: House, count: int) -> None:
    """Shards change hands while an owner has a transaction open, which it ends before its session is over or after."""
    for _ in range(count):
        victim, other = house.chance.sample(house.orchestrators, 2)
        await asyncio.to_thread(victim.stop)
        victim.environment[crashing.VARIABLE] = (
            f"{Point.TRANSACTION_WRITTEN.label}:{house.chance.randint(1, 20)}{crashing.STOP}"
        )
        victim.start()
        del victim.environment[crashing.VARIABLE]
        await _stopped(victim)
        await asyncio.to_thread(other.stop)
        house.struck()
        await house.pause(3 * SESSION_SECONDS)
        victim.signal(signal.SIGCONT)
        other.start()
        await house.recovered()


FAULTS = (
    Fault(
        id="T05/orchestrator",
        name="orchestrator frozen and woken",
        what="SIGSTOP of one of two orchestrators until the other one has its shards and serves them, then SIGCONT",
        play=under_load(_orchestrators, ZOMBIES),
        short=1,
        each=20,
        published=40,
        full=100,
    ),
    Fault(
        id="T05/point",
        name="owner frozen between two effects",
        what="an orchestrator stops itself at a point of its transaction, above all between commit and commands, until "
        "the other one has its shards and serves them, then SIGCONT",
        play=under_load(_at_points, ZOMBIES),
        short=2,
        each=20,
        published=40,
        full=100,
    ),
    Fault(
        id="T05/worker",
        name="worker frozen and woken",
        what="SIGSTOP of one of two workers with commands in its hands until the other one has carried them out, then "
        "SIGCONT",
        play=under_load(_workers, ZOMBIES),
        short=1,
        each=20,
        published=20,
        full=100,
    ),
    Fault(
        id="T06/dynamic",
        name="members come and go",
        what="an orchestrator or a worker is added, or leaves in good order or by kill -9, again and again",
        play=under_load(_rebalances, ZOMBIES),
        short=2,
        each=50,
        published=150,
        full=400,
    ),
    Fault(
        id="T06/static",
        name="members with names come and go",
        what="the same with static membership",
        play=under_load(_rebalances, Setting(environment=SHORT)),
        short=2,
        each=50,
        published=50,
        full=100,
    ),
    Fault(
        id="T06/transaction",
        name="members change within a transaction",
        what="one of three orchestrators stops between the records of a transaction and its end, another one leaves the "
        "group meanwhile and comes back, and the first one goes on with its transaction before its session is over or after",
        play=under_load(_revokes, Setting(orchestrators=3, named=False, environment=SHORT)),
        short=1,
        each=10,
        published=20,
        full=100,
    ),
)
