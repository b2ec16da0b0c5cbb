"""The visibility database: SQLite or PostgreSQL behind one URL, with a way to read and a way to write.

SQLite lets one writer in at a time, and one that began as a reader cannot become it: so a writer says at once that it
is one, and readers, who see the last commit meanwhile, never wait.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Self

from sqlalchemy import URL, event, make_url
from sqlalchemy.engine import Connection
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, IntegrityError, NotSupportedError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from actionbus.contracts.errors import PayloadRefused, SettingsRefused, Unavailable
from actionbus.visibility import migrating

POOL: Final = 10  # connections of one process; PostgreSQL allows 100 in all by default
POOL_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 10.0
BUSY_MS: Final = 30_000  # how long a writer of SQLite waits for another one
STATEMENT_MS: Final = 30_000  # of a question or a batch; a rebuild's last stretch is made of batches as well
_OURS: Final = (ProgrammingError, IntegrityError, DataError, NotSupportedError)  # mistakes that no waiting mends
_UNBOUND: Final = "binding parameter"  # what SQLite's driver says of a list or an object in the place of a text
_DATA: Final = "22"  # the class of PostgreSQL's codes for values that are none
_DRIVERS: Final = {"postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg", "sqlite": "sqlite+aiosqlite"}


class Database:
    """Connections to one visibility database. Entering it checks nothing; leaving it closes them."""

    def __init__(self, url: str) -> None:
        parsed = _url(url)
        self.sqlite = parsed.get_backend_name() == "sqlite"
        self._engine = _sqlite(parsed, "BEGIN") if self.sqlite else _postgresql(parsed)
        self._writer = _sqlite(parsed, "BEGIN IMMEDIATE") if self.sqlite else self._engine

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._engine.dispose()
        await self._writer.dispose()

    async def migrate(self) -> None:
        """Make or change the tables to those of this version; raises SettingsRefused when a newer one was there."""
        with _translated():
            await migrating.migrate(self._writer)

    async def unfit(self) -> str | None:
        """Why the tables cannot be read by this version; None when they can. Raises Unavailable."""
        with _translated():
            return await migrating.check(self._engine)

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncConnection]:
        """A connection for questions, which all see one moment on SQLite; raises Unavailable."""
        with _translated():
            async with self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[AsyncConnection]:
        """A transaction, committed at the end of the block and rolled back by an error; raises Unavailable."""
        with _translated():
            async with self._writer.begin() as connection:
                yield connection


class _translated:  # noqa: N801 - a verb for the reader
    """Turns what drivers raise when the database does not answer, or refuses us, into Unavailable.

    What it cannot hold, such as NUL in a text, becomes PayloadRefused: no waiting mends that either.
    """

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is not None and unstorable(error):
            raise PayloadRefused(f"no database can hold what is asked for or told: {_said(error)}") from error
        if isinstance(error, DBAPIError) and not isinstance(error, _OURS):
            raise Unavailable(f"the visibility database does not do its part: {error.orig}") from error
        if isinstance(error, OSError | TimeoutError | PoolTimeout):
            raise Unavailable(f"the visibility database does not answer: {error or type(error).__name__}") from error


def unstorable(error: BaseException) -> bool:
    """Whether an error of a driver says that a value is none that the database can hold."""
    if not isinstance(error, DBAPIError):
        return isinstance(error, OverflowError)  # the driver of SQLite raises it bare
    origin: Any = error.orig
    if isinstance(error, ProgrammingError) and _UNBOUND in str(origin):
        return True
    return (
        isinstance(error, DataError)
        or str(getattr(origin, "sqlstate", None) or "").startswith(_DATA)
        or (
            isinstance(origin, Exception) and isinstance(origin.__cause__, ValueError)  # asyncpg's own look at values
        )
    )


def _said(error: BaseException) -> str:
    return str(error.orig if isinstance(error, DBAPIError) else error).partition("\n")[0]


def _url(given: str) -> URL:
    try:
        url = make_url(given)
    except ArgumentError as error:
        raise SettingsRefused(
            "ACTIONBUS_VISIBILITY_URL is not readable: use postgresql://user:password@host/name or sqlite:///path"
        ) from error
    driver = _DRIVERS.get(url.get_backend_name())
    if driver is None:
        raise SettingsRefused(f"ACTIONBUS_VISIBILITY_URL is {url.get_backend_name()}: use postgresql or sqlite")
    if driver.startswith("sqlite") and url.database in (None, "", ":memory:"):
        raise SettingsRefused("ACTIONBUS_VISIBILITY_URL needs a file: two services cannot share a database in memory")
    return url.set(drivername=driver)


def _postgresql(url: URL) -> AsyncEngine:
    settings = {
        "application_name": "actionbus-visibility",
        "statement_timeout": str(STATEMENT_MS),
        "idle_in_transaction_session_timeout": str(STATEMENT_MS),
    }
    return create_async_engine(
        url,
        isolation_level="READ COMMITTED",  # enough: a lock on its position keeps writers of one partition apart
        pool_size=POOL,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        pool_pre_ping=True,
        connect_args={"server_settings": settings, "timeout": CONNECT_SECONDS},
        hide_parameters=True,  # they are user data, and errors end up in logs
    )


def _sqlite(url: URL, begin: str) -> AsyncEngine:
    Path(url.database or "").parent.mkdir(parents=True, exist_ok=True)
    engine = create_async_engine(
        url,
        pool_size=POOL,
        max_overflow=0,
        pool_timeout=POOL_SECONDS,
        connect_args={"timeout": BUSY_MS / 1000},
        hide_parameters=True,
    )

    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    event.listen(engine.sync_engine, "connect", _configure)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _configure(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver would begin transactions by itself, and always as readers
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # What a power failure takes is read from the topic again: the position goes with the rows.
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_MS}")
    cursor.execute("PRAGMA cache_size=-65536")
    cursor.close()
