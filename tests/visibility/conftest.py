"""A migrated visibility database of either kind, empty for every test."""

import pytest
from sqlalchemy import text

from actionbus.visibility.database import Database


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def visibility_url(request: pytest.FixtureRequest, tmp_path):
    """The address of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'visibility.db'}"
    return request.getfixturevalue("postgres_url")


@pytest.fixture
async def database(visibility_url: str):
    """The database, with its tables."""
    async with Database(visibility_url) as made:
        if not made.sqlite:
            async with made.writing() as connection:
                await connection.execute(text("DROP SCHEMA public CASCADE"))
                await connection.execute(text("CREATE SCHEMA public"))
        await made.migrate()
        yield made
