"""Old rows of inboxes and journals go, where somebody asks for that, and no others."""

import asyncio

import pytest
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from actionbus.contracts.errors import SettingsRefused
from actionbus.process.groups import WorkerSettings
from actionbus.sdk.action import Action
from actionbus.sdk.context import ActionContext
from actionbus.worker import inbox, once, sweeping
from actionbus.worker.outcomes import Done
from actionbus.worker.stores import Stores
from worker.commands import execute
from worker.station import Station, until

TABLES = ("actionbus_inbox", "actionbus_journal")


async def done(*_):
    """User code that has nothing to say."""
    return Done(output=b"null")


def numbered(number):
    """A command of a step of its own."""
    key = f"r-{number}:2s/pay"
    return execute(run_id=f"r-{number}", step_key=key, command_id=f"{key}/1")


async def rows(url, table):
    """The keys in a table."""
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        found = (await connection.execute(text(f"SELECT key FROM {table}"))).scalars().all()  # noqa: S608 - a constant
    await engine.dispose()
    return sorted(found)


async def older(url, numbers):
    """Let a day pass for the rows of some runs."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        for table in TABLES:
            for number in numbers:
                change = f"UPDATE {table} SET created_at = 1000 WHERE key LIKE :key"  # noqa: S608 - a constant
                await connection.execute(text(change), {"key": f"r-{number}:%"})
    await engine.dispose()


@pytest.fixture
async def filled(stores, database_url, monkeypatch):
    """A store with five old rows and two young ones in each of its tables, which are removed two at a time."""
    monkeypatch.setattr(sweeping, "BATCH_ROWS", 2)
    monkeypatch.setattr(sweeping, "PAUSE_SECONDS", 0)
    for number in range(7):
        await inbox.perform(stores["default"], numbered(number), done)
        await once.perform(stores["default"], numbered(number), done)
    await older(database_url, range(5))
    return stores["default"]


async def test_what_is_older_is_removed_in_batches(filled, database_url):
    """In both tables; what is younger stays, and answers."""
    assert await sweeping.sweep(filled, before=2_000) == 10
    assert await rows(database_url, TABLES[0]) == ["r-5:2s/pay", "r-6:2s/pay"]
    assert await rows(database_url, TABLES[1]) == ["r-5:2s/pay/1", "r-6:2s/pay/1"]
    assert (await inbox.perform(filled, numbered(5), done)).repeated
    assert await sweeping.sweep(filled, before=2_000) == 0


async def test_workers_that_sweep_at_the_same_time_share_the_work(filled, database_url):
    """Each row is removed once, and nobody waits for another or fails."""
    async with Stores({"default": database_url}) as others:
        counts = await asyncio.gather(*(sweeping.sweep(each, before=2_000) for each in (filled, others["default"])))
        await sweeping.sweep(filled, before=2_000)
    assert sum(counts) <= 10
    assert len(await rows(database_url, TABLES[0])) == 2


async def test_a_store_without_a_journal_has_none_to_sweep(database_url):
    """Its worker may not be allowed to make the table."""
    async with Stores({"default": database_url}, journals=()) as stores:
        await inbox.perform(stores["default"], numbered(1), done)
        assert await sweeping.sweep(stores["default"], before=2**60) == 1


async def book(ctx: ActionContext) -> None:
    """Nothing but a row in the inbox."""
    await ctx.db.execute(text("SELECT 1"))


BOOK = Action(id="book", execute=book, effect="transactional")


@pytest.mark.parametrize("days", [None, 30])
async def test_a_worker_sweeps_when_it_is_told_to(connection, prefix, tmp_path, days):
    """At its start; without the setting nothing is ever removed."""
    url = f"sqlite+aiosqlite:///{tmp_path}/store.db"
    async with Stores({"default": url}) as stores:
        await inbox.perform(stores["default"], numbered(1), done)
    await older(url, [1])
    async with Station(connection, prefix, BOOK) as station:
        async with station.worker(store={"DEFAULT_URL": url}, worker={"rows_retention_days": days}):
            await station.send(station.command(BOOK, 2))
            await station.results(1)

            async def swept():
                return "r-1:2s/pay" not in await rows(url, TABLES[0])

            if days is not None:
                await until(swept, "the old row to go")
        assert await rows(url, TABLES[0]) == (["r-1:2s/pay"] if days is None else []) + ["r-2:2s/step"]


def test_rows_stay_as_long_as_commands_may_come_again():
    """Days that would let an effect happen twice for sure are refused."""
    with pytest.raises((ValidationError, SettingsRefused)):
        WorkerSettings(rows_retention_days=7)
