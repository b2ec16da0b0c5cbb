"""The outbox as a table: transactional commands whose result is committed and not known to be published.

A row is written in the transaction of its inbox row, and removed when the brokers have the result. relay.py reads it;
docs/reference/inbox.md describes it.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, Column, MetaData, Table, Text, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from actionbus.worker import owned_table

TABLE: Final = "actionbus_outbox"
CREATE_LOCK: Final = 0x6F7574626F78  # "outbox": workers that start together make the table one after the other

METADATA: Final = MetaData()
OUTBOX: Final = Table(
    TABLE,
    METADATA,
    Column("command_id", Text, primary_key=True, comment="the command that is to be answered"),
    Column("key", Text, nullable=False, comment="the row of the inbox that says what"),
    Column("command", Text, nullable=False, comment="JSON: the command without its input"),
    Column("created_at", BigInteger, nullable=False, comment="epoch milliseconds, by the clock of the worker"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A result that waits to be published. ``command`` is JSON."""

    command_id: str
    key: str
    command: bytes


async def create(connection: AsyncConnection) -> None:
    """Make the table if it is not there; raises Conflict when there is another table of that name."""
    await owned_table.create(connection, OUTBOX, CREATE_LOCK)


async def add(session: AsyncSession, command_id: str, key: str, command: bytes) -> None:
    """Note that a command is to be answered."""
    values: dict[str, Any] = {
        "command_id": command_id,
        "key": key,
        "command": command.decode(),
        "created_at": time.time_ns() // 1_000_000,
    }
    await session.execute(insert(OUTBOX).values(values))


async def waiting(session: AsyncSession, *, before: int, limit: int) -> list[Row]:
    """The oldest rows that were made before a time, epoch milliseconds."""
    old = select(OUTBOX).where(OUTBOX.c.created_at < before).order_by(OUTBOX.c.created_at).limit(limit)
    found = (await session.execute(old)).all()
    return [Row(command_id=each.command_id, key=each.key, command=each.command.encode()) for each in found]


async def remove(session: AsyncSession, command_ids: Collection[str]) -> None:
    """Forget commands that are answered."""
    await session.execute(delete(OUTBOX).where(OUTBOX.c.command_id.in_(command_ids)))
