"""Databases by name: what is made in them, how they are set, and what is refused."""

import asyncio
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from actionbus.contracts.errors import Conflict, SettingsRefused
from actionbus.worker import inbox
from actionbus.worker.guarded_session import GuardedSession
from actionbus.worker.inbox_table import INBOX, TABLE
from actionbus.worker.outcomes import Done
from actionbus.worker.stores import Stores
from worker.commands import Booking, execute
from worker.conftest import make_ledger

PAGE = (Path(__file__).parents[2] / "docs/reference/inbox.md").read_text()


async def _run(url, *statements):
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))
    await engine.dispose()


async def test_the_documented_table_is_the_one_that_is_used(database_url):
    """A table made by hand from the reference page serves the worker, which then makes none."""
    for statement in re.findall(r"CREATE TABLE.*?;", PAGE, re.DOTALL):
        await _run(database_url, statement)
    await make_ledger(database_url)
    async with Stores({"default": database_url}) as stores:
        assert isinstance(await inbox.perform(stores["default"], execute(), Booking()), Done)


def test_every_column_is_documented():
    """The reference page names every column of the table, and no other."""
    assert re.findall(r"^\| `(\w+)` \|", PAGE.partition("| key | status |")[0], re.MULTILINE) == [
        column.name for column in INBOX.columns
    ]


async def test_another_table_of_that_name_is_refused(database_url):
    """A table that only has the name of the inbox stops the worker with a sentence."""
    await _run(database_url, f"CREATE TABLE {TABLE} (id INTEGER)")
    with pytest.raises(Conflict, match="not ours"):
        async with Stores({"default": database_url}):
            pass


async def test_workers_that_start_together_make_the_table_once(database_url):
    """Several processes may make the table at the same time."""

    async def start():
        async with Stores({"default": database_url}):
            pass

    await asyncio.gather(*(start() for _ in range(5)))


async def test_sqlite_survives_power_loss_and_waits_for_other_writers(tmp_path):
    """Write-ahead log, full synchronisation, a busy timeout: a committed effect stays, and others are waited for."""
    async with Stores({"default": f"sqlite:///{tmp_path}/store.db"}) as stores:
        async with stores["default"].engine.connect() as connection:
            found = [
                await connection.scalar(text(f"PRAGMA {name}"))
                for name in ("journal_mode", "synchronous", "busy_timeout")
            ]
    assert found == ["wal", 2, 10_000]


@pytest.mark.postgres
async def test_postgresql_ends_what_a_lost_worker_left_open(postgres_database):
    """Lock, statement and idle timeouts are set on every connection, the last two by the longest attempt."""
    async with Stores({"default": postgres_database}, longest_attempt_ms=90_000) as stores:
        async with stores["default"].engine.connect() as connection:
            names = (
                "lock_timeout",
                "statement_timeout",
                "idle_in_transaction_session_timeout",
                "transaction_isolation",
            )
            found = [await connection.scalar(text(f"SHOW {name}")) for name in names]
    assert found == ["10s", "95s", "95s", "read committed"]


@pytest.mark.postgres
async def test_postgresql_takes_an_action_that_waits_for_months(postgres_database):
    """Its settings have an end, which an action that leaves its answer to others may reach."""
    months = 90 * 86_400_000
    async with Stores({"default": postgres_database}, longest_attempt_ms=months) as stores:
        async with stores["default"].engine.connect() as connection:
            assert await connection.scalar(text("SHOW statement_timeout")) == "2147483647ms"
    async with Stores({"default": postgres_database}) as stores:
        session = GuardedSession(stores["default"].engine)
        await stores["default"].allow(session, months)
        assert await session.scalar(text("SHOW idle_in_transaction_session_timeout")) == "2147483647ms"
        await session.discard()


async def test_an_in_memory_database_serves_many_attempts():
    """A SQLite database in memory, as tests without files use it, carries out attempts one after the other."""
    async with Stores({"default": "sqlite://"}) as stores:
        session = GuardedSession(stores["default"].engine)
        await session.execute(text("CREATE TABLE effects (step_key TEXT, what TEXT)"))
        await session.settle()
        await session.discard()
        answers = await asyncio.gather(
            *(inbox.perform(stores["default"], execute(step=f"s-{n}"), Booking()) for n in range(20))
        )
    assert all(isinstance(each, Done) for each in answers)


@pytest.mark.parametrize(("url", "says"), [("mysql://x/y", "postgresql or sqlite"), ("nonsense", "no readable URL")])
def test_a_url_that_cannot_serve_is_refused(url, says):
    """An unknown or unreadable URL is a setting to correct, and the message does not show it."""
    with pytest.raises(SettingsRefused, match=says) as refused:
        Stores({"users": url})
    assert "users" in str(refused.value)


def test_a_store_without_a_url_names_the_variable():
    """The message says which variable to set."""
    with pytest.raises(SettingsRefused, match="ACTIONBUS_STORE_USER_DB_URL"):
        Stores({})["user-db"]


@pytest.mark.postgres
async def test_a_step_that_may_take_longer_gets_the_time_in_the_database_too(postgres_database):
    """A step's own start_to_close lengthens the timeouts of its transaction, and of no other."""
    seen = []

    async def look(session):
        seen.append(await session.scalar(text("SHOW statement_timeout")))

    await make_ledger(postgres_database)
    async with Stores({"default": postgres_database}, longest_attempt_ms=10_000) as stores:
        for step, limit in (("a", 120_000), ("b", None), ("c", 5_000)):
            await inbox.perform(stores["default"], execute(step, start_to_close_ms=limit), Booking(before=look))
    assert seen == ["125s", "15s", "15s"]


async def test_a_closed_connection_to_sqlite_holds_no_lock(tmp_path):
    """Its transaction ends with it, although the traceback of a cancelled attempt still holds an unfinished statement."""
    async with Stores({"default": f"sqlite:///{tmp_path}/store.db"}) as stores:
        async with stores["default"].engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            await driver.execute("BEGIN IMMEDIATE")
            unfinished = await driver.execute("SELECT 1 UNION SELECT 2")
            await driver.close()
            with closing(sqlite3.connect(tmp_path / "store.db", timeout=0)) as other:
                other.execute("BEGIN IMMEDIATE")
            await connection.invalidate()
            del unfinished
