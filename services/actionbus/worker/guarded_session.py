"""The database session that a transactional action gets as ``ctx.db``: everything but the end of the transaction.

The inbox row and the user's rows are one commit, so only the worker commits. Savepoints (``begin_nested``) are free.
"""

import re
from typing import Any, Final, NoReturn

from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from actionbus.contracts.errors import TransactionRefused

_MESSAGE: Final = (
    "ctx.db is committed by the worker, together with the row that makes the action happen once: return to commit, "
    "raise to roll back, and use `async with ctx.db.begin_nested()` to undo a part"
)
_ENDS: Final = re.compile(
    r"\s*(COMMIT|END|ABORT|BEGIN|START\s+TRANSACTION|PREPARE\s+TRANSACTION|ROLLBACK(?!\s+(WORK\s+|TRANSACTION\s+)?TO\b))\b",
    re.IGNORECASE,
)
_OURS: Final = "actionbus_settles"  # in Connection.info while the worker itself ends the transaction


class GuardedSession(AsyncSession):
    """A session that refuses to end its transaction, except for the worker: ``settle``, ``start_over``, ``discard``."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine, expire_on_commit=False)

    async def settle(self) -> None:
        """Commit; raises what the database raises."""
        info = (await self.connection()).info  # of the connection itself; it goes back to the pool
        info[_OURS] = True
        try:
            await super().commit()
        finally:
            info.pop(_OURS, None)

    async def start_over(self) -> None:
        """Roll back, and be ready for another transaction."""
        await super().rollback()

    async def discard(self) -> None:
        """Roll back whatever is open and give the connection back."""
        await super().close()

    async def commit(self) -> NoReturn:
        """Refused."""
        raise TransactionRefused(_MESSAGE)

    async def rollback(self) -> NoReturn:
        """Refused."""
        raise TransactionRefused(_MESSAGE)

    async def close(self) -> NoReturn:
        """Refused."""
        raise TransactionRefused(_MESSAGE)

    async def reset(self) -> NoReturn:
        """Refused."""
        raise TransactionRefused(_MESSAGE)

    async def invalidate(self) -> NoReturn:
        """Refused."""
        raise TransactionRefused(_MESSAGE)

    def begin(self) -> NoReturn:
        """Refused: the transaction has begun."""
        raise TransactionRefused(_MESSAGE)


def guard(engine: AsyncEngine) -> None:
    """Refuse statements and connection methods by which user code could end the transaction behind the session."""
    event.listen(engine.sync_engine, "before_cursor_execute", _refuse_statement)
    event.listen(engine.sync_engine, "commit", _refuse_commit)


def _refuse_statement(_connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
    if _ENDS.match(statement):
        raise TransactionRefused(_MESSAGE)


def _refuse_commit(connection: Connection) -> None:
    if not connection.info.get(_OURS):
        raise TransactionRefused(_MESSAGE)
