"""Batches of events become rows exactly once, however they are cut, repeated and crossed."""

import asyncio
import random

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from actionbus.contracts.errors import Unavailable
from actionbus.visibility.incoming import Incoming, Stretch
from actionbus.visibility.tables import OF_A_GENERATION
from actionbus.visibility.writing import Writer
from support.mutation import mutated
from visibility import recorded


async def everything(database, generation=1):
    """All rows of all tables of a generation."""
    found = {}
    async with database.reading() as connection:
        for table in OF_A_GENERATION:
            rows = await connection.execute(select(table).where(table.c.generation == generation))
            found[table.name] = sorted((tuple(row) for row in rows), key=repr)
    return found


async def emptied(database):
    """The tables without any rows."""
    async with database.writing() as connection:
        for table in OF_A_GENERATION:
            await connection.execute(table.delete())


async def write(database, writer, *stretches):
    """One batch, committed."""
    async with database.writing() as connection:
        written = await writer.write(connection, stretches)
    writer.committed()
    return written


def cut(records, chance, most=40):
    """Records in order, in pieces of any size."""
    while records:
        size = chance.randint(1, most)
        yield records[:size]
        records = records[size:]


async def one_by_one(database):
    """The rows as they are when every event is a batch of its own, and nothing is remembered."""
    for record in recorded.everything():
        await write(database, Writer(), recorded.stretch([record]))
    rows = await everything(database)
    await emptied(database)
    return rows


@pytest.mark.parametrize("seed", range(3))
async def test_however_batches_are_cut_the_rows_are_the_same(database, seed):
    """Batches of any size, with and without a memory, and after any restart, give the very same rows."""
    expected = await one_by_one(database)
    chance, writer = random.Random(seed), Writer()  # noqa: S311 - a sample
    for piece in cut(recorded.everything(), chance):
        if chance.random() < 0.2:
            writer = Writer()
        await write(database, writer, recorded.stretch(piece))
    assert await everything(database) == expected
    assert expected["actionbus_windows"]


async def test_records_that_come_again_change_nothing(database):
    """Whatever is read again, from any place on, is counted as repeated and changes no row, no window either."""
    chance, writer, records = random.Random(5), Writer(), recorded.everything()  # noqa: S311 - a sample
    pieces = list(cut(records, chance))
    for number, piece in enumerate(pieces):
        await write(database, writer, recorded.stretch(piece))
        again = [each for earlier in pieces[max(0, number - 2) : number + 1] for each in earlier]
        written = await write(database, Writer(), recorded.stretch(again))
        assert (written.events, written.repeated) == (0, len(again))
    rows = await everything(database)
    await emptied(database)
    await write(database, Writer(), recorded.stretch(records))
    assert await everything(database) == rows


async def test_an_event_under_another_offset_is_known_by_its_version(database):
    """A record that was copied to another offset is told by run, incarnation and version."""
    records = recorded.everything()
    await write(database, Writer(), recorded.stretch(records))
    before = await everything(database)
    copies = [Incoming(each.offset + 10_000, each.at, each.record, each.event) for each in records]
    written = await write(database, Writer(), recorded.stretch(copies))
    assert written.events == written.gaps == 0
    after = await everything(database)
    del before["actionbus_positions"], after["actionbus_positions"]
    assert after == before


async def test_without_a_look_at_the_version_rows_would_differ(database):
    """The test above fails when events are written whatever version their run has."""
    look = "            elif event.version <= run.version:\n                repeated += 1\n                continue\n"
    with mutated("actionbus.visibility.writing", (look, "")) as changed:
        records = recorded.everything()
        await write(database, changed.Writer(), recorded.stretch(records))
        copies = [Incoming(each.offset + 10_000, each.at, each.record, each.event) for each in records]
        with pytest.raises((AssertionError, Unavailable, IntegrityError)):
            assert (await write(database, changed.Writer(), recorded.stretch(copies))).events == 0


async def test_two_writers_of_one_partition_write_once(database):
    """Two projectors that have a partition for a moment write the same records; the rows are those of one."""
    expected = await one_by_one(database)
    chance = random.Random(9)  # noqa: S311 - a sample
    pieces = list(cut(recorded.everything(), chance))

    async def project():
        writer = Writer()
        for piece in pieces:
            await write(database, writer, recorded.stretch(piece))

    await asyncio.gather(project(), project())
    assert await everything(database) == expected


async def _write_and_fail(database, writer, stretch):
    async with database.writing() as connection:
        await writer.write(connection, [stretch])
        raise OSError("the disk is full")


async def test_a_batch_that_fails_leaves_nothing(database):
    """A transaction that breaks at its end leaves no row, and the next attempt writes all of it."""
    expected = await one_by_one(database)
    writer, records = Writer(), recorded.everything()
    half = len(records) // 2
    await write(database, writer, recorded.stretch(records[:half]))
    with pytest.raises(Unavailable, match="the disk is full"):
        await _write_and_fail(database, writer, recorded.stretch(records[half:]))
    writer.forget()
    await write(database, writer, recorded.stretch(records[half:]))
    assert await everything(database) == expected


async def test_partitions_are_written_together(database):
    """A batch holds stretches of many partitions, each with its own position."""
    records = recorded.everything()
    first, second = recorded.stretch(records[::2], 0), recorded.stretch(records[1::2], 1)
    assert (await write(database, Writer(), second, first)).events > 0
    rows = await everything(database)
    assert [row[1:3] for row in rows["actionbus_positions"]] == [(0, first.position), (1, second.position)]


async def test_what_cannot_be_read_is_set_aside(database):
    """A record that is none is kept with its reason, and what follows it is written."""
    records = recorded.everything()
    bad = Incoming(0, 5, b"\x00nonsense", None, "no record of ours")
    later = Incoming(1, records[0].at, records[0].record, records[0].event)
    written = await write(database, Writer(), Stretch(0, [bad, later], 2))
    assert (written.unreadable, written.events) == (1, 1)
    assert (await everything(database))["actionbus_unreadable"] == [(1, 0, 0, 5, "no record of ours", b"\x00nonsense")]


async def test_missing_versions_are_counted(database):
    """A gap in the versions of a run, also before its first event, is counted, and the run goes on."""
    events = [event for event, _ in recorded.moments("happy-path") if event.version > 0]
    kept = [recorded.incoming(number, events[number]) for number in (1, 3)]
    written = await write(database, Writer(), recorded.stretch(kept))
    assert (written.events, written.gaps) == (2, 2)
