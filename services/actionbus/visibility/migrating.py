"""Bringing a visibility database to the tables of this version, and knowing when it has others.

Whoever comes first migrates, the others wait: services may start together. A database that a newer version has migrated
is left alone and refused.
"""

from pathlib import Path
from typing import Any, Final

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from actionbus.contracts.errors import SettingsRefused
from actionbus.visibility.tables import METADATA

VERSION_TABLE: Final = "actionbus_visibility_version"
_LOCK: Final = 0x766973696269  # "visibi": services that start together migrate one after the other
_SCRIPTS: Final = Path(__file__).parent / "migrations"


async def migrate(engine: AsyncEngine) -> None:
    """Bring the database to this version's tables; raises SettingsRefused when a newer version was there."""
    async with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        await connection.run_sync(_upgrade)


async def check(engine: AsyncEngine) -> str | None:
    """Why these tables cannot be read by this version; None when they can."""
    async with engine.connect() as connection:
        found = await connection.run_sync(_revision)
    if found == _scripts().get_current_head():
        return None
    if found is None:
        return "the visibility database is empty: start a projector, which makes its tables"
    return f"the visibility database is at version {found}, this actionbus reads {_scripts().get_current_head()}"


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(_SCRIPTS))


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()


def _upgrade(connection: Connection) -> None:
    scripts = _scripts()

    def steps(revision: Any, _context: object) -> Any:
        return scripts._upgrade_revs("head", revision)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - as alembic.command does

    with EnvironmentContext(Config(), scripts, fn=steps) as environment:
        environment.configure(connection=connection, target_metadata=METADATA, version_table=VERSION_TABLE)
        try:
            environment.run_migrations()
        except CommandError as error:
            raise SettingsRefused(
                f"the visibility database is at version {_revision(connection)}, which a newer actionbus made: "
                "run that version, or another database"
            ) from error
