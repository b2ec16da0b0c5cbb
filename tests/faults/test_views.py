"""Tables that are not those of their topics are told."""

import pytest
from sqlalchemy import delete, update

from actionbus.contracts.events import EntryKind
from actionbus.visibility.database import Database
from actionbus.visibility.tables import EVENTS, RUNS, WINDOWS
from actionbus.visibility.writing import Writer
from faults import views
from integration.books import Books
from projector import traffic
from visibility import recorded

TALLY = WINDOWS.c.kind == "workflow"


@pytest.fixture
async def written(tmp_path):
    """The address of tables with the events of three runs, and the books of these."""
    url, books = f"sqlite:///{tmp_path / 'views.db'}", Books()
    events = traffic.interleaved(0, 3)
    for event in events:
        books.note(event)
    async with Database(url) as database:
        await database.migrate()
        async with database.writing() as connection:
            records = [recorded.incoming(number, event) for number, event in enumerate(events)]
            await Writer().write(connection, [recorded.stretch(records)])
    return url, books


async def test_nothing_is_said_of_tables_that_are_right(written) -> None:
    """Every event has its row, every run stands where its last event put it, and windows count each once."""
    assert await views.violations(*written) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (delete(EVENTS).where(EVENTS.c.version == 1, EVENTS.c.run_id == "run-0000001"), "lack event"),
        (update(RUNS).values(version=RUNS.c.version - 1), "in the tables"),
        (update(RUNS).values(status="RUNNING"), "say otherwise"),
        (update(RUNS).values(incarnation="never"), "no event tells of"),
        (update(WINDOWS).where(TALLY).values(started=WINDOWS.c.started + 1), EntryKind.RUN_STARTED.value),
        (update(WINDOWS).where(TALLY).values(completed=0), EntryKind.RUN_ENDED.value),
    ],
)
async def test_whatever_differs_is_said(written, change, says: str, monkeypatch) -> None:
    """A row that lacks, is behind, is of nobody, or is counted twice."""
    monkeypatch.setattr(views, "QUIET_SECONDS", 0.0)  # nothing else comes
    async with Database(written[0]) as database, database.writing() as connection:
        await connection.execute(change)
    assert any(says in each for each in await views.violations(*written))
