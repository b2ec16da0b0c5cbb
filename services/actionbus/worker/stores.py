"""The databases that actions write to, or keep a journal in, by name: engines, settings, and how many write at once.

SQLite lets one writer in at a time, so attempts wait here in fair order and not in its busy handler, which lets them
starve. PostgreSQL gets as many slots as the pool has connections. inbox.py, once.py and calls.py say what is written.
"""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Self

import structlog
from sqlalchemy import URL, event, make_url, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from actionbus.contracts.errors import SettingsRefused
from actionbus.worker import guarded_session, inbox_table, journal_table, outbox_table

DEFAULT_STORE: Final = "default"
POSTGRES_CONNECTIONS: Final = 10  # per store and process; PostgreSQL allows 100 in all by default
SQLITE_CONNECTIONS: Final = 2  # one writes, one is in hand for a look while the first is being replaced
POOL_SECONDS: Final = 30.0
CONNECT_SECONDS: Final = 10.0
LOCK_TIMEOUT_MS: Final = 10_000  # for another attempt of the same step, and for the user's own rows
SQLITE_BUSY_MS: Final = 10_000  # for another process that writes
POSTGRES_MOST_MS: Final = 2_147_483_647  # of its settings: an action may wait for its answer for longer
PLAIN_MS: Final = 60_000  # the longest statement of whoever is no action
MARGIN_MS: Final = 5_000  # what a statement or a pause may take beyond the longest attempt
_DRIVERS: Final = {"postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}

_log = structlog.get_logger(__name__)


class Store:
    """One database with an inbox table in it."""

    def __init__(self, name: str, url: URL, *, longest_attempt_ms: int, journal: bool = True) -> None:
        self.name = name
        self.sqlite = url.get_backend_name() == "sqlite"
        self.engine: AsyncEngine = _sqlite(url) if self.sqlite else _postgresql(url, longest_attempt_ms)
        self._longest_attempt_ms = longest_attempt_ms
        self.journal = journal
        self.outbox = False  # whether there is a table for it
        self.slots = asyncio.Semaphore(1 if self.sqlite else POSTGRES_CONNECTIONS)

    async def prepare(self) -> None:
        """Make the tables of the inbox and of the journal if they are not there; raises what the database raises."""
        async with self.engine.begin() as connection:
            await inbox_table.create(connection)
            if self.journal:
                await journal_table.create(connection)
        try:
            async with self.engine.begin() as connection:
                await outbox_table.create(connection)
            self.outbox = True
        except DBAPIError as error:  # installations of before have none, and their worker may not be let make it
            _log.warning("there is no outbox, so nothing is relayed", store=self.name, reason=str(error.orig))
        guarded_session.guard(self.engine)

    @asynccontextmanager
    async def sweeper(self) -> AsyncGenerator[AsyncSession]:
        """A transaction in which the worker itself writes, committed when it is left in peace."""
        session = guarded_session.GuardedSession(self.engine)
        try:
            yield session
            await session.settle()
        finally:
            await session.discard()

    async def allow(self, session: AsyncSession, attempt_ms: int | None) -> None:
        """Let this transaction last as long as its attempt may, where that is longer than any action says."""
        if self.sqlite or attempt_ms is None or attempt_ms <= self._longest_attempt_ms:
            return
        names = ("statement_timeout", "idle_in_transaction_session_timeout")
        asked = ", ".join(f"set_config('{name}', :ms, true)" for name in names)
        await session.execute(text(f"SELECT {asked}"), {"ms": _limit(attempt_ms)})


class Stores:
    """All databases of one worker process. Entering it makes the inbox tables; leaving it closes the connections."""

    def __init__(
        self, urls: Mapping[str, str], *, longest_attempt_ms: int = 60_000, journals: Collection[str] | None = None
    ) -> None:
        """``journals``: the stores that need a journal; None: all, since nobody is asked for its table's permission."""
        self._stores = {
            name: Store(
                name,
                _url(name, url),
                longest_attempt_ms=longest_attempt_ms,
                journal=journals is None or name in journals,
            )
            for name, url in urls.items()
        }

    def __getitem__(self, name: str) -> Store:
        found = self._stores.get(name)
        if found is None:
            variable = f"ACTIONBUS_STORE_{name.upper().replace('-', '_')}_URL"
            raise SettingsRefused(f"no database is named {name}: set {variable}")
        return found

    def __iter__(self) -> Iterator[Store]:
        return iter(self._stores.values())

    async def __aenter__(self) -> Self:
        try:
            for store in self._stores.values():
                await store.prepare()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        for store in self._stores.values():
            await store.engine.dispose()


def plain_engine(name: str, url: str) -> AsyncEngine:
    """An engine of such a database for whoever is no action: nothing guards its transactions."""
    return Store(name, _url(name, url), longest_attempt_ms=PLAIN_MS).engine


def _url(name: str, given: str) -> URL:
    try:
        url = make_url(given)
    except ArgumentError as error:
        raise SettingsRefused(f"store {name} has no readable URL: use postgresql://user:password@host/name") from error
    driver = _DRIVERS.get(url.get_backend_name())
    if driver is None:
        raise SettingsRefused(f"store {name} is {url.get_backend_name()}: use postgresql or sqlite")
    return url.set(drivername=driver)


def _postgresql(url: URL, longest_attempt_ms: int) -> AsyncEngine:
    # The server ends what a paused or cut off worker left open, so that its locks do not outlive its attempt by much.
    settings = {
        "application_name": "actionbus-worker",
        "lock_timeout": str(LOCK_TIMEOUT_MS),
        "statement_timeout": _limit(longest_attempt_ms),
        "idle_in_transaction_session_timeout": _limit(longest_attempt_ms),
    }
    return create_async_engine(
        url,
        isolation_level="READ COMMITTED",  # enough: the unique index of the inbox serialises what has to be
        pool_size=POSTGRES_CONNECTIONS,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        connect_args={"server_settings": settings, "timeout": CONNECT_SECONDS},
        hide_parameters=True,  # they are user data, and errors end up in results and logs
    )


def _limit(attempt_ms: int) -> str:
    return str(min(attempt_ms + MARGIN_MS, POSTGRES_MOST_MS))


def _sqlite(url: URL) -> AsyncEngine:
    memory = url.database in (None, "", ":memory:")
    pool: dict[str, Any] = {} if memory else {"pool_size": SQLITE_CONNECTIONS, "max_overflow": 0}
    arguments = {"timeout": SQLITE_BUSY_MS / 1000, "factory": _SqliteConnection}
    engine = create_async_engine(url, connect_args=arguments, hide_parameters=True, **pool)
    event.listen(engine.sync_engine, "connect", _configure_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_immediate)
    return engine


class _SqliteConnection(sqlite3.Connection):
    """A connection whose transaction ends with it.

    SQLite keeps a closed connection and its locks for as long as one statement is unfinished, and the traceback of an
    attempt that was cancelled in the middle of one holds it until the collector comes by: nobody could write meanwhile.
    """

    def close(self) -> None:
        """Roll back first; a connection that is closed already has nothing to."""
        with suppress(sqlite3.Error):
            self.rollback()
        super().close()


def _configure_sqlite(connection: Any, _record: object) -> None:
    # The driver would begin transactions by itself, late and as readers, which then fail when they turn writers.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")  # a result is sent after the commit, so the commit has to survive
    cursor.execute(f"PRAGMA busy_timeout={SQLITE_BUSY_MS}")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    cursor = connection.connection.cursor()
    cursor.execute("BEGIN IMMEDIATE")
    cursor.close()
