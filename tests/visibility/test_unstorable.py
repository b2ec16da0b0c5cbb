"""Events that nobody can make rows of: what a foreign program may write into the topic."""

import pytest
from sqlalchemy import select

from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.visibility.incoming import Incoming, Stretch
from actionbus.visibility.tables import EVENTS, POSITIONS, UNREADABLE
from actionbus.visibility.writing import Writer
from contracts import samples


def _entry(**values: object) -> EventEntry:
    return EventEntry(**{"kind": EntryKind.TASK_OPENED, "step": "s", "data": b"{}"} | values)


FINE = samples.EVENT.replace(version=1, entries=(EventEntry(kind=EntryKind.RUN_STARTED),))
WORSE = {
    "a list for a title": {"entries": (_entry(data=b'{"title":["x"],"assignee":{},"due_at":"soon"}'),)},
    "a time beyond all": {"entries": (_entry(kind=EntryKind.WAIT_BEGAN, data=b'{"until":10000000000000000000000}'),)},
    "a number that no column holds": {"entries": (_entry(data=b'{"due_at":99999999999999999999}'),)},
}


def _stretch(*events: WorkflowEvent) -> Stretch:
    records = [Incoming(offset, 1_000, b"bytes", event) for offset, event in enumerate(events)]
    return Stretch(partition=0, records=records, position=len(records))


@pytest.mark.parametrize("changes", WORSE.values(), ids=list(WORSE))
async def test_an_event_without_rows_is_set_aside_alone(database, changes: dict[str, object]) -> None:
    """All around it are written, it is kept among those that cannot be read with the reason, and the position goes on."""
    events = [FINE.replace(run_id=f"run-{number}") for number in range(7)]
    events[4] = events[4].replace(**changes)
    writer = Writer()
    async with database.writing() as connection:
        written = await writer.write(connection, [_stretch(*events)])
    writer.committed()
    assert (written.events, written.unreadable) == (6, 1)
    async with database.reading() as connection:
        kept = (await connection.execute(select(UNREADABLE))).all()
        runs = {row.run_id for row in await connection.execute(select(EVENTS))}
        (position,) = (await connection.execute(select(POSITIONS.c.position))).scalars()
    assert [(row.position, bytes(row.record)) for row in kept] == [(4, b"bytes")]
    assert "no rows can be made of it" in kept[0].reason
    assert (runs, position) == ({f"run-{number}" for number in range(7) if number != 4}, 7)


async def test_no_event_with_nul_stops_the_tables(database) -> None:
    """PostgreSQL has no NUL in a text: there it is set aside, and SQLite holds it."""
    events = [FINE, FINE.replace(run_id="a\x00b", workflow="x\x00")]
    async with database.writing() as connection:
        written = await Writer().write(connection, [_stretch(*events)])
    assert (written.events, written.unreadable) == ((2, 0) if database.sqlite else (1, 1))


async def test_a_question_for_what_no_database_holds_is_refused(database) -> None:
    """It is no outage, which would be asked for again."""
    with pytest.raises(PayloadRefused):
        async with database.reading() as connection:
            await connection.execute(select(POSITIONS).where(POSITIONS.c.position == 2**70))
