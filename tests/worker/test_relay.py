"""Results that are committed and were never published: they go out, though nobody delivers their commands again."""

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from actionbus.contracts import payloads
from actionbus.contracts.results import ResultKind
from actionbus.worker import inbox, relay
from actionbus.worker.outcomes import Done
from actionbus.worker.stores import Stores
from worker.conftest import make_ledger
from worker.station import Station, until
from worker.test_effects import BOOK


@pytest.fixture
async def url(tmp_path, monkeypatch):
    """A SQLite file with the ledger; what is in its outbox is old at once."""
    monkeypatch.setattr(relay, "OLD_MS", 0)
    made = f"sqlite+aiosqlite:///{tmp_path}/store.db"
    await make_ledger(made)
    return made


async def waiting(url):
    """The commands in the outbox."""
    engine = create_async_engine(url)
    async with engine.connect() as connection:
        found = (await connection.execute(text("SELECT command_id FROM actionbus_outbox"))).scalars().all()
    await engine.dispose()
    return list(found)


async def left_behind(station, url, number):
    """An effect that is committed, by a worker that died before it said so; its command is gone with it."""

    async def work(session, _):
        await session.execute(text("INSERT INTO effects VALUES ('r', 'booked')"))
        return Done(output=b'{"n":7}')

    command = station.command(BOOK, number, value={"n": 7})
    async with Stores({"default": url}) as stores:
        await inbox.perform(stores["default"], command, work)
    return command


async def test_a_result_whose_command_is_gone_is_published(connection, prefix, url):
    """At the start and from time to time; then it is in the outbox no more, and its effect is there once."""
    async with Station(connection, prefix, BOOK) as station:
        command = await left_behind(station, url, 1)
        assert await waiting(url) == [command.command_id]
        async with station.worker(store={"DEFAULT_URL": url}):
            (result,) = await station.results(1)

            async def forgotten():
                return not await waiting(url)

            await until(forgotten, "an empty outbox")
        assert (result.kind, payloads.decode(result.output)) == (ResultKind.SUCCEEDED, {"n": 7})
        assert (result.command_id, result.nonce) == (command.command_id, command.nonce)


async def test_what_was_left_behind_while_a_worker_lives_is_published_too(connection, prefix, url, monkeypatch):
    """Its look comes again."""
    monkeypatch.setattr(relay, "EVERY_SECONDS", 0.0)
    async with Station(connection, prefix, BOOK) as station, station.worker(store={"DEFAULT_URL": url}):
        await left_behind(station, url, 1)
        (result,) = await station.results(1)
        assert result.run_id == "r-1"


async def test_what_is_published_leaves_the_outbox(connection, prefix, url, monkeypatch):
    """Of a worker that lives nothing stays behind, and nothing goes out twice."""
    monkeypatch.setattr(relay, "OLD_MS", 3_600_000)
    async with Station(connection, prefix, BOOK) as station:
        async with station.worker(store={"DEFAULT_URL": url}):
            await station.send(*(station.command(BOOK, n, value={"n": n}) for n in range(20)))
            await station.results(20)
        assert await waiting(url) == []
        assert len(await station.results(20)) == 20
