"""T30: an installation of the release before that is upgraded under its runs, process by process, and taken back."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from random import Random

from actionbus.client import Client
from actionbus.contracts import schemas
from actionbus.contracts.errors import ActionbusError
from actionbus.contracts.topics import Topics
from actionbus.kafka.reader import PartitionReader
from faults import former_app
from faults.fault import Fault, Outcome
from faults.ground import Ground
from faults.house import House, Setting, judged, opened
from integration.installation import Service

BEFORE = 4  # transfers that end before the first process is replaced
NOTICED_SECONDS = 240.0  # far above what is normal
NAMED = 0.5  # of the installations: without names, shards and commands go over to whoever is there meanwhile
UNREADY = 503
REFUSED = re.compile(r'(shard \d+)[^"]*no schema has the fingerprint')
SETTING = Setting(release=schemas.BEFORE, app=Path(former_app.__file__))


async def upgraded(ground: Ground, count: int, chance: Random) -> Outcome:
    """Another installation each time: every process is replaced, orchestrators first, one worker there and back."""
    outcomes: list[Outcome] = []
    while sum(each.injected for each in outcomes) < count:
        async with _living(ground, chance) as house:
            for each in house.orchestrators:
                await _replaced(house, each, new=True)
            await asyncio.to_thread(_deployed_again, house)
            first, *others = house.workers
            for new in (True, False, True):
                await _replaced(house, first, new=new)
            for each in others:
                await _replaced(house, each, new=True)
            outcomes.append(await judged(house))
    return _sum(outcomes)


async def refused(ground: Ground, count: int, chance: Random) -> Outcome:
    """All orchestrators are new, then all are old again: these serve nothing and write nothing, and new ones go on."""
    outcomes: list[Outcome] = []
    while sum(each.injected for each in outcomes) < count:
        async with _living(ground, chance) as house:
            for each in house.orchestrators:
                await _replaced(house, each, new=True)
            house.injected = 0
            house.recovery_ms.clear()
            await asyncio.gather(*(asyncio.to_thread(each.stop) for each in house.orchestrators))
            before = await _written(house)
            for each in house.orchestrators:
                _become(house, each, new=False)
                house.struck()
            await asyncio.to_thread(_refused, house)
            wrong = [] if await _written(house) == before else ["an orchestrator wrote what it could not read"]
            for each in house.orchestrators:
                await asyncio.to_thread(each.stop)
                _become(house, each, new=True)
            await house.recovered()
            outcome = await judged(house)
        if wrong:
            outcome.faults.setdefault("disordered", []).extend(wrong)
        outcomes.append(outcome)
    return _sum(outcomes)


@asynccontextmanager
async def _living(ground: Ground, chance: Random) -> AsyncIterator[House]:
    """A house of the release before, with runs of it under way, each of which gets its nod now and then."""
    with ground.room("upgraded") as room:
        setting = replace(SETTING, named=chance.random() < NAMED)
        async with opened(ground, room, ground.cluster(1), chance, setting) as house:
            nodding = asyncio.create_task(_nod(house))
            try:
                await house.load.ended(BEFORE)
                yield house
            finally:
                nodding.cancel()
                await asyncio.gather(nodding, return_exceptions=True)


async def _nod(house: House) -> None:
    """Signal every run once; who comes too late, or to nobody, changes nothing."""
    nodded: set[str] = set()
    async with Client(house.installation.connection, prefix=house.installation.prefix) as client:
        while True:
            for run_id in house.load.begun.keys() - house.load.outcomes.keys() - nodded:
                nodded.add(run_id)
                with suppress(ActionbusError):
                    await client.handle(run_id).signal("nod", True, request_id=f"nod-{run_id}")
            await asyncio.sleep(0.1)


async def _replaced(house: House, service: Service, *, new: bool) -> None:
    """End a process as operators do, start the other version in its place, and let runs begin and end with both."""
    await house.pause(0.5)
    await asyncio.to_thread(service.stop)
    _become(house, service, new=new)
    house.struck()
    await asyncio.to_thread(service.wait_ready)
    await house.recovered()


def _become(house: House, service: Service, *, new: bool) -> None:
    """Start a process with the code of this version, or of the release before."""
    service.environment.pop("PYTHONPATH", None)
    if not new:
        service.environment["PYTHONPATH"] = str(house.installation.code)
    service.start()


def _deployed_again(house: House) -> None:
    """What the release before deployed is what this version makes of the same module: else it would be refused."""
    made = house.installation
    code, made.code = made.code, None
    try:
        made.command("deploy", str(made.app))
    finally:
        made.code = code


def _refused(house: House) -> None:
    """Return once every shard was heard to be refused, by whoever of the two has it."""
    heard: set[str] = set()
    until = time.monotonic() + NOTICED_SECONDS
    while len(heard) < house.setting.shards:
        pages = [each.get("/ready") for each in house.orchestrators]
        assert time.monotonic() < until, f"only {sorted(heard)} are refused: {pages}"
        heard.update(*(REFUSED.findall(page) for status, page in pages if status == UNREADY))
        time.sleep(0.1)


async def _written(house: House) -> dict[tuple[str, int], int]:
    """Where the topics that only owners of shards write to end."""
    topics, made = Topics(house.installation.prefix), house.installation
    places = [(name, shard) for name in (topics.state, topics.events) for shard in range(made.shards)]
    async with PartitionReader(made.connection) as reader:
        return await reader.ends(places, committed=True)


def _sum(outcomes: list[Outcome]) -> Outcome:
    return Outcome(
        injected=sum(each.injected for each in outcomes),
        workflows=sum(each.workflows for each in outcomes),
        steps=sum(each.steps for each in outcomes),
        effects=sum(each.effects for each in outcomes),
        unfinished=sum(each.unfinished for each in outcomes),
        doubted=sum(each.doubted for each in outcomes),
        faults={kind: texts for each in outcomes for kind, texts in each.faults.items()},
        recovery_ms=tuple(time for each in outcomes for time in each.recovery_ms),
    )


FAULTS = (
    Fault(
        id="T30/up",
        name="upgrade under load",
        what="an installation of 0.2.0 is upgraded under its runs, orchestrators before workers: SIGTERM to each "
        "process, the same with this version in its place, the next one when every shard works and both versions have "
        "worked side by side; one worker goes back to 0.2.0 and forth again",
        play=upgraded,
        short=6,
        each=6,
        published=24,
        full=60,
    ),
    Fault(
        id="T30/back",
        name="orchestrators taken back",
        what="the orchestrators of an upgraded installation are replaced by those of 0.2.0, which read nothing that "
        "this version wrote: they refuse their shards and write nothing, and this version goes on",
        play=refused,
        short=2,
        each=4,
        published=8,
        full=20,
    ),
)
