"""The inbox as a table: its columns, and the few statements on it. The protocol that uses them is inbox.py.

The table stands in the user's database, beside the rows that it vouches for. docs/reference/inbox.md describes it.
"""

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import BigInteger, Column, MetaData, Row, Table, Text, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from actionbus.worker import owned_table, stored
from actionbus.worker.outcomes import Deferred, Outcome

TABLE: Final = "actionbus_inbox"
CREATE_LOCK: Final = 0x616374696F6E  # "action": workers that start together make the table one after the other


class Status(StrEnum):
    """What a row says about its key."""

    DONE = "DONE"
    """Under a step key, or a step key and /undo: the effect is committed, with this row."""
    CANCELLED = "CANCELLED"
    """Under a step key: the effect never happened and never can."""
    FAILED = "FAILED"
    """Under a command id: this attempt failed for good."""
    DEFERRED = "DEFERRED"
    """Under a step key, or a step key and /undo: the writes are committed, and somebody else gives the answer."""


METADATA: Final = MetaData()
INBOX: Final = Table(
    TABLE,
    METADATA,
    Column("key", Text, primary_key=True, comment="step key, step key/undo, or command id"),
    Column("status", Text, nullable=False, comment="DONE, DEFERRED, CANCELLED or FAILED"),
    Column("command_id", Text, nullable=False, comment="the command that wrote the row"),
    Column("input_hash", Text, comment="SHA-256 of action and input, hexadecimal; null in CANCELLED rows"),
    Column("result", Text, comment="JSON: output and emits, or the error"),
    Column("created_at", BigInteger, nullable=False, comment="epoch milliseconds, by the clock of the worker"),
)


_INSERT: Final = text(
    f"INSERT INTO {TABLE} (key, status, command_id, input_hash, created_at) "  # noqa: S608 - a constant
    "SELECT CAST(:key AS TEXT), CAST(:status AS TEXT), CAST(:command_id AS TEXT), CAST(:input_hash AS TEXT), "
    "CAST(:created_at AS BIGINT) "
    f"WHERE NOT EXISTS (SELECT 1 FROM {TABLE} WHERE key = CAST(:unless AS TEXT)) "
    "ON CONFLICT (key) DO NOTHING RETURNING key"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row."""

    key: str
    status: Status
    input_hash: str | None
    result: str | None

    def outcome(self) -> Outcome:
        """What is stored in a DONE, DEFERRED or FAILED row."""
        return stored.read(self.result or "{}")


async def create(connection: AsyncConnection) -> None:
    """Make the table if it is not there; raises Conflict when there is another table of that name."""
    await owned_table.create(connection, INBOX, CREATE_LOCK)


async def insert(
    session: AsyncSession, key: str, status: Status, command_id: str, input_hash: str | None, *, unless: str
) -> bool:
    """Insert a row; False when the key is taken or a row with the key ``unless`` exists.

    PostgreSQL waits here for a transaction that has inserted the same key and is not finished; SQLite lets only one
    transaction write in the first place.
    """
    values = {
        "key": key,
        "status": status.value,
        "command_id": command_id,
        "input_hash": input_hash,
        "created_at": time.time_ns() // 1_000_000,
        "unless": unless,
    }
    inserted = await session.execute(_INSERT, values)
    return inserted.first() is not None


async def find(session: AsyncSession, *keys: str) -> dict[str, Entry]:
    """The rows of these keys."""
    rows = await session.execute(select(INBOX).where(INBOX.c.key.in_(keys)))
    return {row.key: _entry(row) for row in rows}


async def store(session: AsyncSession, key: str, outcome: Outcome) -> bool:
    """Write the outcome into the row of this transaction; False when the row is not there any more."""
    values = {"result": stored.write(outcome)}
    if isinstance(outcome, Deferred):
        values["status"] = Status.DEFERRED.value
    written = await session.execute(update(INBOX).where(INBOX.c.key == key).values(values).returning(INBOX.c.key))
    return written.first() is not None


def _entry(row: Row[Any]) -> Entry:
    return Entry(key=row.key, status=Status(row.status), input_hash=row.input_hash, result=row.result)
