"""The tables come by migrations, and are those that the code reads and writes."""

import asyncio

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from actionbus.contracts.errors import SettingsRefused, Unavailable
from actionbus.visibility.database import Database
from actionbus.visibility.migrating import VERSION_TABLE
from actionbus.visibility.questions import Questions
from actionbus.visibility.tables import METADATA


async def test_migrations_make_the_tables_that_the_code_knows(database):
    """What migrations made is what tables.py says, column by column and index by index."""

    def differences(connection):
        options = {"version_table": VERSION_TABLE, "compare_type": True}
        return compare_metadata(MigrationContext.configure(connection, opts=options), METADATA)

    async with database.writing() as connection:
        assert await connection.run_sync(differences) == []


async def test_services_that_start_together_migrate_once(visibility_url, database):
    """Any number of services may migrate at the same time, and a database that is current is left alone."""
    async with Database(visibility_url) as second:
        await asyncio.gather(*(each.migrate() for each in (database, second, database, second)))
        assert await second.unfit() is None


async def test_tables_of_a_newer_version_are_refused(database):
    """A database that a newer version migrated is neither changed nor read, and the sentence says what to do."""
    async with database.writing() as connection:
        await connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))  # noqa: S608 - a constant
    with pytest.raises(SettingsRefused, match="9999, which a newer actionbus made"):
        await database.migrate()
    assert "9999" in await database.unfit()


async def test_an_empty_database_says_what_is_missing(tmp_path):
    """Whoever asks before a projector ever ran hears that it has to be started."""
    async with Database(f"sqlite:///{tmp_path / 'empty.db'}") as empty:
        assert "start a projector" in await empty.unfit()


async def test_a_database_that_is_away_is_unavailable():
    """Nobody listens there: that is said as something to try again later."""
    async with Database("postgresql://nobody@127.0.0.1:1/nothing") as away:
        with pytest.raises(Unavailable, match="does not answer"):
            await Questions(away).runs()


@pytest.mark.parametrize("url", ["nonsense", "mysql://host/name", "sqlite://", "sqlite:///:memory:"])
def test_a_url_that_cannot_be_used_is_refused(url):
    """What is neither PostgreSQL nor a file of SQLite is refused, naming the setting."""
    with pytest.raises(SettingsRefused, match="ACTIONBUS_VISIBILITY_URL"):
        Database(url)
