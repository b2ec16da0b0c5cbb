"""Making the tables of ours that stand in a database of the user's."""

from sqlalchemy import Table, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from actionbus.contracts.errors import Conflict


async def create(connection: AsyncConnection, table: Table, lock: int) -> None:
    """Make a table if it is not there; raises Conflict when there is another one of that name.

    ``lock``: a number of the table's own, by which workers that start together make it one after the other.
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})
    await connection.run_sync(table.metadata.create_all)
    found = await connection.run_sync(lambda sync: inspect(sync).get_columns(table.name))
    if {column["name"] for column in found} != set(table.columns.keys()):
        raise Conflict(f"the database has a table {table.name} that is not ours")
