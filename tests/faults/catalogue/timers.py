"""T21: very many timers that are due in one second, and orchestrators that are killed while they fire."""

import asyncio
import time
from collections import Counter
from random import Random

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from faults import sleepers
from faults.fault import Fault, Outcome
from faults.ground import Ground
from integration import books
from integration.installation import Installation

LEAD_MS, LEAD_EACH_MS = 3_000, 3  # time to start them before they are due; where it is too short they are due at once
KILLS = 2


async def many(ground: Ground, count: int, chance: Random) -> Outcome:
    """Start so many runs that are due at one moment, kill orchestrators while they fire, and count what rang."""
    with ground.room("many") as room:
        async with sleepers.installed(ground, room, chance) as (made, url):
            engine = create_async_engine(url)
            try:
                return await _played(made, engine, count, chance)
            finally:
                await engine.dispose()


async def _played(made: Installation, engine: AsyncEngine, count: int, chance: Random) -> Outcome:
    orchestrators = [made.orchestrator(f"orchestrator-{n}") for n in range(2)]
    made.worker()
    await asyncio.to_thread(made.wait_ready)
    ids = await sleepers.start(made, count, round(time.time() * 1000) + LEAD_MS + LEAD_EACH_MS * count)

    async def rung() -> int:
        async with engine.connect() as connection:
            return (await connection.execute(text("SELECT count(*) FROM rings"))).scalar_one()

    recovery = []
    for share in sorted(chance.uniform(0.02, 0.8) for _ in range(KILLS)):
        await sleepers.until(rung, round(share * count))
        victims = orchestrators if chance.random() < 0.5 else [chance.choice(orchestrators)]
        struck = time.monotonic()
        for each in victims:
            each.kill()
        for each in victims:
            each.start()
        await asyncio.to_thread(made.wait_ready)
        recovery.append(round((time.monotonic() - struck) * 1000))
    await sleepers.until(rung, count)
    outcomes = {run_id: (number, "COMPLETED") for number, run_id in enumerate(ids)}
    published = books.Books()

    async def ended() -> int:
        nonlocal published
        published = await books.read(made.connection, made.prefix, made.shards)
        return sum(state.status.ended for state in published.states.values())

    await sleepers.until(ended, count)
    rows = await _rows(engine)
    rings = Counter(run_id for run_id, _ in rows)
    faults = {
        "lost": [f"{run_id} never rang" for run_id in ids if not rings[run_id]],
        "doubled": [f"{run_id} rang {times} times" for run_id, times in rings.items() if times > 1],
        "disordered": [
            *(f"{run_id} rang too early" for run_id, early in rows if early),
            *published.violations(outcomes),
        ],
    }
    return Outcome(
        injected=count,
        workflows=count,
        steps=len(rings),
        effects=len(rows),
        faults={kind: texts for kind, texts in faults.items() if texts},
        unfinished=sum(run_id not in published.states or not published.states[run_id].status.ended for run_id in ids),
        recovery_ms=tuple(recovery),
    )


async def _rows(engine: AsyncEngine) -> list[tuple[str, bool]]:
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text("SELECT run_id, early FROM rings"))]


FAULTS = (
    Fault(
        id="T21",
        name="timers due at once",
        what="so many runs sleep until the same millisecond; one orchestrator or both are killed twice while the timers "
        "fire, at random shares of them",
        play=many,
        short=500,
        each=100_000,
        published=10_000,
        full=100_000,
    ),
)
