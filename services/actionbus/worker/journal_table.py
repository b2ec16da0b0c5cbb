"""The journal as a table: what was about to be done outside of any database, and what became of it.

The protocols that write it are once.py, for attempts that run at most once, and calls.py, for calls over HTTP.
docs/reference/inbox.md describes the table.
"""

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import BigInteger, Column, MetaData, Table, Text, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from actionbus.worker import owned_table

TABLE: Final = "actionbus_journal"
CREATE_LOCK: Final = 0x6A6F75726E616C  # "journal": workers that start together make the table one after the other


class Status(StrEnum):
    """How far what a row is about has come."""

    INTENT = "INTENT"
    """It was about to be done; whether it was, the row does not know."""
    DONE = "DONE"
    """It ended as the row says."""
    DOUBT = "DOUBT"
    """The command that stands in the row was answered with a doubt: only a later one may ask again."""


METADATA: Final = MetaData()
JOURNAL: Final = Table(
    TABLE,
    METADATA,
    Column("key", Text, primary_key=True, comment="command id, or idempotency key of a call"),
    Column("status", Text, nullable=False, comment="INTENT, DONE or DOUBT"),
    Column("command_id", Text, nullable=False, comment="the command that wrote the row last"),
    Column("intent", Text, nullable=False, comment="JSON: who is about to do what"),
    Column("outcome", Text, comment="JSON: what became of it; null until that is known"),
    Column("created_at", BigInteger, nullable=False, comment="epoch milliseconds, by the clock of the worker"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row. ``intent`` and ``outcome`` are JSON; ``created_at`` is epoch milliseconds."""

    key: str
    status: Status
    command_id: str
    intent: str
    outcome: str | None
    created_at: int


async def create(connection: AsyncConnection) -> None:
    """Make the table if it is not there; raises Conflict when there is another table of that name."""
    await owned_table.create(connection, JOURNAL, CREATE_LOCK)


async def insert(session: AsyncSession, key: str, command_id: str, intent: str) -> bool:
    """Insert an INTENT; False when the key is taken."""
    values: dict[str, Any] = {
        "key": key,
        "status": Status.INTENT.value,
        "command_id": command_id,
        "intent": intent,
        "created_at": time.time_ns() // 1_000_000,
    }
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    statement = dialect.insert(JOURNAL).values(values).on_conflict_do_nothing().returning(JOURNAL.c.key)
    return (await session.execute(statement)).first() is not None


async def find(session: AsyncSession, key: str) -> Row | None:
    """The row of a key."""
    row = (await session.execute(select(JOURNAL).where(JOURNAL.c.key == key))).first()
    if row is None:
        return None
    return Row(
        key=row.key,
        status=Status(row.status),
        command_id=row.command_id,
        intent=row.intent,
        outcome=row.outcome,
        created_at=row.created_at,
    )


async def change(session: AsyncSession, key: str, **values: str | int | None) -> None:
    """Give the row of a key other values, if it is there."""
    await session.execute(update(JOURNAL).where(JOURNAL.c.key == key).values(values))
