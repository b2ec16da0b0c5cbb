"""A visibility database of either kind, and projectors inside of the test's process."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from sqlalchemy import text

from actionbus.process.settings import Settings
from actionbus.projector.service import Projector
from actionbus.visibility.database import Database


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def visibility_url(request: pytest.FixtureRequest, tmp_path):
    """The address of a database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'visibility.db'}"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
async def database(visibility_url: str):
    """The database, empty of other tests' tables, with its own."""
    async with Database(visibility_url) as made:
        if not made.sqlite:
            async with made.writing() as connection:
                await connection.execute(text("DROP SCHEMA public CASCADE"))
                await connection.execute(text("CREATE SCHEMA public"))
        await made.migrate()
        yield made


@pytest.fixture
def settings(broker, prefix: str, visibility_url: str) -> Settings:
    """What a projector of this test is set to."""
    return Settings(
        prefix=prefix,
        kafka={"bootstrap_servers": broker.bootstrap},
        visibility={"url": visibility_url},
        projector={"batch_events": 250},
    )


@asynccontextmanager
async def projecting(settings: Settings):
    """A projector that runs as long as the block."""
    stop = asyncio.Event()
    projector = Projector(settings)
    serving, test = asyncio.create_task(projector.serve(stop)), asyncio.current_task()
    serving.add_done_callback(lambda _: stop.is_set() or test.cancel("the projector has ended"))
    try:
        yield projector
    finally:
        stop.set()
        await serving
