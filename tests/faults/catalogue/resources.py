"""T26: workers that the kernel ends because they take too much memory, and processes that hardly get a processor."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from random import Random

from actionbus.client import Client
from actionbus.contracts.errors import RunFailed
from faults.fault import Fault, Outcome
from faults.ground import Ground
from faults.house import House, Setting, judged, opened, under_load
from faults.machine import small_memory

GREEDY = Path(__file__).parents[1] / "hog_app.py"
MEMORY_MIB = 320  # a worker that minds its own business takes a third of it
CRASHES = 3  # that one command may cost
HOG_SECONDS = 900.0  # far above what is normal
QUOTA = 0.05
TURN_SECONDS = 1.0
TURNS = 10


async def _memory(ground: Ground, count: int, chance: Random) -> Outcome:
    """A command that no worker outlives is set aside; its neighbours in the same process are carried out."""
    setting = Setting(app=GREEDY, workers=1, environment={"ACTIONBUS_LIMITS_COMMAND_CRASHES": str(CRASHES)})
    with ground.room("memory") as room, small_memory(room.name, MEMORY_MIB) as admit:
        async with opened(ground, room, ground.cluster(1), chance, setting) as house:
            keeping = asyncio.create_task(_keep_up(house, admit))
            told: list[str] = []
            try:
                while house.injected < count:
                    await house.pause(1.0)
                    told.append(await _set_aside(house, len(told)))
                    await house.recovered()
                outcome = await judged(house)
            finally:
                keeping.cancel()
                await asyncio.gather(keeping, return_exceptions=True)
    wrong = [f"greedy-{number} is told {each}" for number, each in enumerate(told) if "Deadly" not in each]
    if wrong:
        outcome.faults.setdefault("lost", []).extend(wrong)
    return outcome


async def _keep_up(house: House, admit: Callable[[int], None]) -> None:
    """Start the worker again whenever it was ended, as a supervisor does; each time is an injection."""
    (worker,) = house.workers
    admit(worker.pid)
    while True:
        if worker.process is not None and worker.process.poll() is not None:
            house.struck()
            worker.start()
            admit(worker.pid)
        await asyncio.sleep(0.1)


async def _set_aside(house: House, number: int) -> str:
    """Start a run whose only step ends its worker; what its caller is told in the end."""
    made = house.installation
    async with Client(made.connection, prefix=made.prefix) as client:
        try:
            handle = await client.start("greedy", None, run_id=f"greedy-{number}")
            return f"COMPLETED: {await handle.result(HOG_SECONDS)}"
        except RunFailed as failed:
            return f"{failed.status}: {failed.reason}"


async def _processor(house: House, count: int) -> None:
    """One process runs for a twentieth of the time."""
    for _ in range(count):
        await house.pause(1.0)
        victim = house.chance.choice(house.services)
        house.struck()
        try:
            for _ in range(TURNS):
                victim.signal(signal.SIGSTOP)
                await asyncio.sleep((1 - QUOTA) * TURN_SECONDS)
                victim.signal(signal.SIGCONT)
                await asyncio.sleep(QUOTA * TURN_SECONDS)
        finally:
            victim.signal(signal.SIGCONT)
        await house.recovered()


FAULTS = (
    Fault(
        id="T26/memory",
        name="worker out of memory",
        what="an action takes memory until the kernel ends its worker, which is started again each time, until the "
        "command is set aside; everything else in the same worker is carried out",
        play=_memory,
        short=1,
        each=12,
        published=30,
        full=50,
    ),
    Fault(
        id="T26/processor",
        name="no processor",
        what="an orchestrator or a worker gets 5 % of a processor for 10 s",
        play=under_load(_processor),
        short=1,
        each=10,
        published=50,
        full=50,
    ),
)
