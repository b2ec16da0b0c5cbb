"""The databases of these tests: an empty one for each test, on SQLite and on PostgreSQL, with a ledger of effects."""

import itertools

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from actionbus.worker.stores import Stores

_COUNT = itertools.count()


@pytest.fixture
async def postgres_database(postgres_url):
    """The URL of a PostgreSQL database that no other test uses."""
    name = f"inbox_{next(_COUNT)}"
    admin = create_async_engine(postgres_url, isolation_level="AUTOCOMMIT")
    async with admin.connect() as connection:
        await connection.execute(text(f"CREATE DATABASE {name}"))
    yield postgres_url.replace("/postgres?", f"/{name}?")
    async with admin.connect() as connection:
        await connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    await admin.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request, tmp_path):
    """The URL of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/store.db"
    return request.getfixturevalue("postgres_database")


@pytest.fixture
async def stores(database_url):
    """The store ``default`` of a worker, with its inbox and a table ``effects`` that counts what user code did."""
    async with Stores({"default": database_url}) as opened:
        await make_ledger(database_url)
        yield opened


async def make_ledger(url):
    """Make the table that counts effects: nothing in it is unique, so a doubled effect shows."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE effects (step_key TEXT, what TEXT)"))
    await engine.dispose()


@pytest.fixture
def effects(database_url):
    """Reads the ledger: what was done for which step key, in an order of its own."""

    async def read():
        engine = create_async_engine(database_url)
        async with engine.connect() as connection:
            rows = (await connection.execute(text("SELECT step_key, what FROM effects"))).all()
        await engine.dispose()
        return sorted((row.step_key, row.what) for row in rows)

    return read
