"""What the tables hold, and waiting until they hold it."""

import asyncio

from sqlalchemy import func, select

from actionbus.visibility import generations
from actionbus.visibility.tables import EVENTS, OF_A_GENERATION, POSITIONS, UNREADABLE

SECONDS = 240.0  # no test depends on speed


async def everything(database, *, times: bool = True):
    """All rows of all tables of the live generation, without its number."""
    found = {}
    async with database.reading() as connection:
        generation = await generations.live(connection)
        for table in OF_A_GENERATION:
            rows = await connection.execute(select(table).where(table.c.generation == generation))
            found[table.name] = sorted((tuple(row)[1:] for row in rows), key=repr)
    if not times:
        del found[POSITIONS.name]
    return found


async def count(database, table=EVENTS):
    """How many rows the live generation has in a table."""
    async with database.reading() as connection:
        generation = await generations.live(connection)
        query = select(func.count()).select_from(table).where(table.c.generation == generation)
        return (await connection.execute(query)).scalar_one()


async def until(database, events: int, table=EVENTS):
    """Return once there are so many rows."""
    async with asyncio.timeout(SECONDS):
        while (found := await count(database, table)) < events:  # noqa: ASYNC110 - rows tell nobody that they came
            await asyncio.sleep(0.05)
    assert found == events


async def until_set_aside(database, records: int):
    """Return once so many records were set aside."""
    await until(database, records, UNREADABLE)


async def until_at_least(database, events: int):
    """Return once there are so many events, or more."""
    async with asyncio.timeout(SECONDS):
        while await count(database) < events:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.02)
