"""Short transactions on a store, begun again for as long as its database does not say what became of them.

Which rows are written in them is the affair of the protocols: inbox.py, once.py and calls.py.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, TypeVar

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from actionbus.contracts.errors import Doubt
from actionbus.worker import outcomes
from actionbus.worker.guarded_session import GuardedSession
from actionbus.worker.outcomes import ErrorType, Failed
from actionbus.worker.stores import Store

T = TypeVar("T")

PATIENCE_SECONDS: Final = 20.0  # a database that restarts costs a delay and no attempt, if it is back within this
BACKOFF_SECONDS: Final = 0.1
BACKOFF_CAP_SECONDS: Final = 2.0
# Beginnings of SQLSTATE: the connection broke, the server is on its way down or up, or it has no disk, memory or
# connection left. Who asks such a server hears it as any other error.
AWAY: Final = ("08", "57P", "53100", "53200", "53300")
STATEMENT_SECONDS: Final = 45.0  # beyond the server's own timeouts: silence for this long means a lost connection


async def patiently(
    store: Store, work: Callable[[GuardedSession], Awaitable[T]], *, patience: float = PATIENCE_SECONDS
) -> T:
    """What ``work`` gives inside a transaction, begun again after every doubt for ``patience`` seconds.

    It has to settle the transaction itself, and to recognise what it has done before. Raises Doubt at last, and
    whatever else it raises.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    pause = BACKOFF_SECONDS
    async with store.slots:
        while True:
            try:
                async with _transaction(store) as session:
                    return await work(session)
            except Doubt:
                if loop.time() + pause > until:
                    raise
            await asyncio.sleep(pause)
            pause = min(pause * 2, BACKOFF_CAP_SECONDS)


@asynccontextmanager
async def answering() -> AsyncGenerator[None]:
    """Turn a database that does not answer into Doubt: nothing began, or who knows what was committed."""
    try:
        async with asyncio.timeout(STATEMENT_SECONDS):
            yield
    except (OperationalError, InterfaceError, PoolTimeout, OSError, TimeoutError) as error:
        raise Doubt(str(error)) from error
    except DBAPIError as error:
        if away(error):
            raise Doubt(str(error)) from error
        raise


def away(error: DBAPIError) -> bool:
    """Whether an error says that the database is not there, and nothing of what it was asked."""
    return error.connection_invalidated or str(getattr(error.orig, "sqlstate", None)).startswith(AWAY)


def gave_up(store: Store, error: Doubt) -> Failed:
    """The failure of an attempt whose database does not answer."""
    return outcomes.failed(
        ErrorType.STORE_UNAVAILABLE, f"the database {store.name} does not answer: {error}", retryable=True
    )


@asynccontextmanager
async def _transaction(store: Store) -> AsyncGenerator[GuardedSession]:
    session = GuardedSession(store.engine)
    try:
        yield session
    finally:
        with suppress(DBAPIError, OSError):  # then the connection is gone, and with it the transaction
            await session.discard()
