"""Rows whose time is over, deleted a bounded number at a time, so that nobody waits for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Table, and_, delete, select, tuple_

from actionbus.visibility import generations
from actionbus.visibility.database import Database
from actionbus.visibility.insights import Resolution
from actionbus.visibility.tables import (
    EVENTS,
    GENERATIONS,
    LATENCIES,
    OF_A_GENERATION,
    OF_A_RUN,
    RUNS,
    UNREADABLE,
    WINDOWS,
)

READERS_MS: Final = 60_000  # after which nobody reads a generation any more that was retired
DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """For how many days rows are kept: of ended runs, of events of runs that live on, of windows by their length."""

    runs_days: float
    events_days: float
    windows_days: Mapping[Resolution, float]
    batch_rows: int


async def expire(database: Database, kept: Retention, *, now: int, clock: int) -> int:
    """Delete up to ``batch_rows`` rows of each kind; how many were deleted. Call it again while it is any.

    ``now``: the broker's time, which rows are told by. ``clock``: this machine's, which generations are told by.
    """
    async with database.reading() as connection:
        generation = await generations.live(connection)
        retired = await generations.retired(connection, before=clock - READERS_MS)
    deleted = 0
    for old in retired:
        deleted += await _drop(database, old, kept.batch_rows)
    if deleted:
        return deleted
    over = now - round(kept.runs_days * DAY_MS)
    deleted += await _runs(database, and_(RUNS.c.generation == generation, RUNS.c.ended_at < over), kept.batch_rows)
    over = now - round(kept.events_days * DAY_MS)
    deleted += await _some(database, EVENTS, and_(EVENTS.c.generation == generation, EVENTS.c.at < over), kept)
    deleted += await _some(
        database, UNREADABLE, and_(UNREADABLE.c.generation == generation, UNREADABLE.c.at < over), kept
    )
    for resolution, days in kept.windows_days.items():
        for table in (WINDOWS, LATENCIES):
            where = and_(
                table.c.generation == generation,
                table.c.resolution == resolution.value,
                table.c.start < now - round(days * DAY_MS),
            )
            deleted += await _some(database, table, where, kept)
    return deleted


async def _runs(database: Database, where: ColumnElement[bool], most: int) -> int:
    """Runs with everything that is about them."""
    key = (RUNS.c.generation, RUNS.c.run_id, RUNS.c.incarnation)
    async with database.writing() as connection:
        found = [tuple(row) for row in await connection.execute(select(*key).where(where).limit(max(1, most // 10)))]
        if not found:
            return 0
        for table in (*OF_A_RUN, RUNS):
            same = tuple_(table.c.generation, table.c.run_id, table.c.incarnation).in_(found)
            await connection.execute(delete(table).where(same))
    return len(found)


async def _some(database: Database, table: Table, where: ColumnElement[bool], kept: Retention) -> int:
    key = tuple(table.primary_key)
    async with database.writing() as connection:
        oldest = select(*key).where(where).limit(kept.batch_rows)
        return (await connection.execute(delete(table).where(tuple_(*key).in_(oldest)))).rowcount


async def _drop(database: Database, generation: int, most: int) -> int:
    """Some rows of a generation that is over; with the last of them it is forgotten."""
    for table in OF_A_GENERATION:
        key = tuple(table.primary_key)
        async with database.writing() as connection:
            some = select(*key).where(table.c.generation == generation).limit(most)
            deleted = (await connection.execute(delete(table).where(tuple_(*key).in_(some)))).rowcount
        if deleted:
            return deleted
    async with database.writing() as connection:
        return (await connection.execute(delete(GENERATIONS).where(GENERATIONS.c.generation == generation))).rowcount
