"""The generations of the tables: which one is live, how the next begins, and how readers and writers change over."""

import time
from enum import StrEnum

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from actionbus.contracts.errors import Unavailable
from actionbus.visibility.tables import GENERATIONS


class GenerationStatus(StrEnum):
    """What a generation is for."""

    LIVE = "live"
    """It is written by the projectors and read by everybody."""
    BUILDING = "building"
    """A rebuild fills it."""
    RETIRED = "retired"
    """It was live, or its rebuild was given up; its rows are being deleted."""


async def live(connection: AsyncConnection, *, held: bool = False) -> int:
    """The live generation; raises Unavailable when the tables were never made.

    ``held``: no other becomes live before the transaction has ended. SQLite lets only one transaction write anyway.
    """
    query = select(GENERATIONS.c.generation).where(GENERATIONS.c.status == GenerationStatus.LIVE)
    found = (await connection.execute(query.with_for_update(read=True) if held else query)).scalar()
    if found is None:
        raise Unavailable("the visibility database has no live tables: start a projector, which makes them")
    return found


async def begin(connection: AsyncConnection) -> int:
    """Begin the next generation; a rebuild that was interrupted is given up."""
    await connection.execute(
        update(GENERATIONS)
        .where(GENERATIONS.c.status == GenerationStatus.BUILDING)
        .values(status=GenerationStatus.RETIRED, switched_at=_now())
    )
    latest = (await connection.execute(select(func.max(GENERATIONS.c.generation)))).scalar()
    made = (latest or 0) + 1
    values = {"generation": made, "status": GenerationStatus.BUILDING, "begun_at": _now()}
    await connection.execute(insert(GENERATIONS).values(values))
    return made


async def hold(connection: AsyncConnection) -> None:
    """Let no writer begin before this transaction has ended, and wait for those that have."""
    await connection.execute(select(GENERATIONS.c.generation).with_for_update())


async def switch(connection: AsyncConnection, to: int) -> None:
    """Make a generation live and retire the one that was; within a transaction that holds all writers."""
    await connection.execute(
        update(GENERATIONS)
        .where(GENERATIONS.c.status == GenerationStatus.LIVE)
        .values(status=GenerationStatus.RETIRED, switched_at=_now())
    )
    await connection.execute(
        update(GENERATIONS)
        .where(GENERATIONS.c.generation == to)
        .values(status=GenerationStatus.LIVE, switched_at=_now())
    )


async def retired(connection: AsyncConnection, *, before: int) -> list[int]:
    """Generations that nobody can still be reading, because they were retired before a time (this machine's clock)."""
    rows = await connection.execute(
        select(GENERATIONS.c.generation)
        .where(GENERATIONS.c.status == GenerationStatus.RETIRED, GENERATIONS.c.switched_at < before)
        .order_by(GENERATIONS.c.generation)
    )
    return list(rows.scalars())


def _now() -> int:
    return time.time_ns() // 1_000_000
