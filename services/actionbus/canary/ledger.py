"""The canary's own book: which runs were asked for, and how often each had its effect. It counts, and never samples."""

from collections.abc import Sequence

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncEngine

from actionbus.canary.beat import BEATS, RUNS, TABLES


class Ledger:
    """Rows in the database that the canary's action writes to. A run is in it before it is asked for."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def prepare(self) -> None:
        """Make the tables where they are not there."""
        async with self._engine.begin() as connection:
            await connection.run_sync(TABLES.create_all)

    async def ask(self, run_id: str, at: int) -> None:
        """A run is about to be asked for; ``at``: epoch milliseconds."""
        async with self._engine.begin() as connection:
            await connection.execute(insert(RUNS).values(run_id=run_id, asked_at=at))

    async def open(self) -> Sequence[tuple[str, int]]:
        """The runs that are not judged yet, with their times, the oldest first."""
        async with self._engine.connect() as connection:
            found = await connection.execute(select(RUNS.c.run_id, RUNS.c.asked_at).order_by(RUNS.c.asked_at))
            return [(row.run_id, row.asked_at) for row in found]

    async def effects(self, run_id: str) -> int:
        """How often a run had its effect."""
        async with self._engine.connect() as connection:
            counted = select(func.count()).select_from(BEATS).where(BEATS.c.run_id == run_id)
            return (await connection.execute(counted)).scalar_one()

    async def close(self, run_id: str) -> None:
        """A run is judged: nothing more has to be known of it."""
        async with self._engine.begin() as connection:
            await connection.execute(delete(BEATS).where(BEATS.c.run_id == run_id))
            await connection.execute(delete(RUNS).where(RUNS.c.run_id == run_id))
