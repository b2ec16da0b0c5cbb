"""T20: the wall clocks of orchestrators, workers and a broker jump; timers go by the broker's time, and no timer back."""

import asyncio
import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from faults import machine
from faults.fault import Fault, Outcome
from faults.ground import Ground
from faults.house import Setting, judged, opened
from faults.naps import Naps, steady_ms
from support import apache_kafka

SOURCE = Path(__file__).parents[1] / "shifted_clock.c"
HOUR, DAY = 3_600, 86_400
JUMPS = (-DAY, -HOUR, HOUR, DAY)
EVERY_SECONDS = 5.0
BROKER = "broker"


class WallClock:
    """By how many seconds the wall clock of one process, or of several, is wrong."""

    def __init__(self, library: Path, file: Path) -> None:
        file.write_bytes(bytes(8))
        with file.open("r+b") as opened_file:
            self._page = mmap.mmap(opened_file.fileno(), 8)
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_SHIFT": str(file)}

    def set(self, seconds: int) -> None:
        """Jump to so many seconds beside the true time."""
        self._page[:] = struct.pack("=q", seconds)


@contextmanager
def _clocks(folder: Path, names: list[str]) -> Iterator[dict[str, WallClock]]:
    """A wall clock for each of the processes, by name."""
    library = folder / "shifted_clock.so"
    command = ["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library, SOURCE]
    machine.run(command, "no clock can be moved without a C compiler")
    yield {name: WallClock(library, folder / f"{name}.clock") for name in names}


async def _jumps(ground: Ground, count: int, chance: Random) -> Outcome:
    """Each clock jumps and comes back; the next jump is another process's."""
    services = ["orchestrator-0", "worker-0", "nap-worker"]
    with ground.room("clocks") as room, _clocks(room, [BROKER, *services]) as clocks:
        own = {name: clocks[name].environment for name in services}
        environment = clocks[BROKER].environment
        with apache_kafka.running(room / "kafka", environment=environment) as cluster:
            async with (
                opened(ground, room, cluster, chance, Setting(orchestrators=1, workers=1), own=own) as house,
                Naps(house, chance) as naps,
            ):
                await _jump(house, naps, clocks, count)
                await naps.finish()
                return await naps.judge(await judged(house))


async def _jump(house, naps: Naps, clocks: dict[str, WallClock], count: int) -> None:
    """To a wrong time and back is two jumps, five seconds apart."""
    names, at = list(clocks), house.chance.randrange(len(clocks))
    while house.injected < count:
        name = names[at % len(names)]
        at += 1
        for seconds in (house.chance.choice(JUMPS), 0):
            clocks[name].set(seconds)
            if name == BROKER:
                naps.leaps.append(steady_ms())
            house.struck()
            await asyncio.sleep(EVERY_SECONDS)
        await house.recovered()


FAULTS = (
    Fault(
        id="T20/jumps",
        name="clocks that jump",
        what="the wall clock of the orchestrator, a worker or the broker jumps by an hour or a day, ahead or back, and "
        "returns 5 s later; meanwhile runs sleep and wait, and no timer is lost, fires twice or fires early",
        play=_jumps,
        short=2,
        each=20,
        published=80,
        full=200,
    ),
)
