"""T17: what an orchestrator keeps on its disk is lost or damaged while it is away; it is a copy, and is made anew."""

import asyncio
import hashlib
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from actionbus.contracts.identifiers import POSITION_KEY
from actionbus.contracts.run import WorkflowRun
from actionbus.contracts.topics import Topics
from actionbus.kafka.codec import Codec
from actionbus.kafka.reader import PartitionReader
from actionbus.orchestrator.shelf import DiskShelf
from faults import sleepers
from faults.fault import Fault, Outcome
from faults.ground import Ground
from faults.house import House, Setting, under_load
from integration.installation import Installation, Service

FAR_MS = 86_400_000
SHOWN = 5


def _folder(made: Installation, service: Service, shard: int) -> Path:
    return made.folder / service.name / made.prefix / f"shard-{shard}"


def _wiped(folder: Path, _other: Path, _chance: Random) -> None:
    shutil.rmtree(folder)


def _flipped(folder: Path, _other: Path, chance: Random) -> None:
    file = _some_file(folder, chance)
    data = bytearray(file.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    file.write_bytes(data)


def _truncated(folder: Path, _other: Path, chance: Random) -> None:
    file = _some_file(folder, chance)
    with file.open("r+b") as opened:
        opened.truncate(chance.randrange(file.stat().st_size))


def _copied(folder: Path, other: Path, _chance: Random) -> None:
    shutil.rmtree(folder)
    if other.exists():  # or the same injection has removed it
        shutil.copytree(other, folder)


def _some_file(folder: Path, chance: Random) -> Path:
    """A file that RocksDB reads: tables and its lists of them, not its log of messages."""
    files = [
        each for each in folder.iterdir() if each.suffix == ".sst" or each.name.startswith(("MANIFEST", "CURRENT"))
    ]
    return chance.choice(sorted(each for each in files if each.stat().st_size))


DAMAGE: tuple[Callable[[Path, Path, Random], None], ...] = (_wiped, _flipped, _truncated, _copied)


async def damaged(house: House, count: int) -> None:
    """Stop the one orchestrator, or kill it, damage the store of one shard or of all, and start it again."""
    (service,) = house.orchestrators
    made, wrong = house.installation, list[str]()
    for _ in range(count):
        await house.pause(0.5)
        if house.chance.random() < 0.7:
            await asyncio.to_thread(service.stop)
            wrong += await differences(made, service)
        else:
            service.kill()
        shards = list(range(made.shards))
        chosen = shards if house.chance.random() < 0.3 else [house.chance.choice(shards)]
        house.struck()
        for shard in chosen:
            other = house.chance.choice([each for each in shards if each != shard])
            folders = (_folder(made, service, each) for each in (shard, other))
            house.chance.choice(DAMAGE)(*folders, house.chance)
        service.start()
        await house.recovered()
    await asyncio.to_thread(service.stop)
    wrong += await differences(made, service)
    service.start()
    if wrong:
        raise AssertionError("; ".join(wrong[:SHOWN]))


async def restored(ground: Ground, count: int, chance: Random) -> Outcome:
    """So many runs that sleep; then each kind of damage to the stores of all shards, and a restart that is timed."""
    with ground.room("restored") as room:
        async with sleepers.installed(ground, room, chance) as (made, _):
            service = made.orchestrator()
            await asyncio.to_thread(made.wait_ready)
            await sleepers.start(made, count, round(time.time() * 1000) + FAR_MS)

            async def there() -> int:
                return sum([len(await live(made, shard)) for shard in range(made.shards)])

            started = await sleepers.until(there, count)
            wrong, recovery = list[str](), list[int]()
            for damage in DAMAGE:
                await asyncio.to_thread(service.stop)
                wrong += await differences(made, service)
                for shard in range(made.shards):
                    other = (shard + 1) % made.shards
                    damage(_folder(made, service, shard), _folder(made, service, other), chance)
                began = time.monotonic()
                service.start()
                await asyncio.to_thread(service.wait_ready)
                recovery.append(round((time.monotonic() - began) * 1000))
            await asyncio.to_thread(service.stop)
            wrong += await differences(made, service)
    return Outcome(
        injected=count,
        workflows=count,
        steps=0,
        effects=count * len(DAMAGE),
        faults={"disordered": wrong} if wrong else {},
        unfinished=count - started,
        recovery_ms=tuple(recovery),
    )


async def differences(made: Installation, service: Service) -> list[str]:
    """In which shards the store of a service that was stopped is not the state, byte for byte."""
    found = []
    for shard in range(made.shards):
        wanted = await live(made, shard)
        kept = await asyncio.to_thread(_kept, _folder(made, service, shard))
        if _sum(wanted) != _sum(kept):
            ids = [run_id for run_id in {**wanted, **kept} if wanted.get(run_id) != kept.get(run_id)]
            found.append(f"the store of shard {shard} differs from its state in {len(ids)} runs: {ids[:SHOWN]}")
    return found


async def live(made: Installation, shard: int) -> dict[str, bytes]:
    """Run id -> hash of its last record in the state topic."""
    found: dict[str, bytes] = {}
    async with PartitionReader(made.connection) as reader:
        async for page in reader.read_to_end(Topics(made.prefix).state, shard):
            for record in page:
                if record.key is None or record.key == POSITION_KEY:
                    continue
                if record.value is None:
                    found.pop(record.key.decode(), None)
                else:
                    found[record.key.decode()] = hashlib.sha256(record.value).digest()
    return found


def _kept(folder: Path) -> dict[str, bytes]:
    """The same of a store."""
    codec, shelf = Codec(), DiskShelf(folder)
    try:
        return {
            codec.glance(WorkflowRun, value, "run_id")["run_id"]: hashlib.sha256(value).digest()
            for value in shelf.values()
        }
    finally:
        shelf.close()


def _sum(runs: dict[str, bytes]) -> str:
    return hashlib.sha256(b"".join(each.encode() + digest for each, digest in sorted(runs.items()))).hexdigest()


FAULTS = (
    Fault(
        id="T17/damaged",
        name="local store damaged",
        what="an orchestrator is stopped or killed, and the store of one shard or of all is removed, or has a bit flipped, "
        "or is cut off, or is replaced by that of another shard; whenever it is stopped its stores are compared with the "
        "state topic by hash",
        play=under_load(damaged, Setting(orchestrators=1)),
        short=3,
        each=20,
        published=100,
        full=500,
    ),
    Fault(
        id="T17/restored",
        name="runs restored",
        what="so many sleeping runs, and the stores of all shards removed, damaged, cut off and exchanged in turn; recovery "
        "is the time of the restart until all shards are served, and the hash of every store is that of its state",
        play=restored,
        short=500,
        each=1_000_000,
        published=50_000,
        full=1_000_000,
    ),
)
