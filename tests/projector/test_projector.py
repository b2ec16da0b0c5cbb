"""From the events topic to the tables, through Faust, on real brokers and databases."""

import asyncio

import pytest

from actionbus.contracts.topics import Topics
from actionbus.kafka.admin import Admin
from actionbus.visibility.writing import Writer
from projector import looking, traffic
from projector.conftest import projecting
from support.mutation import mutated
from visibility import recorded

KAFKA = pytest.param("kafka", marks=[pytest.mark.kafka, pytest.mark.java])


async def undisturbed(database, events):
    """The rows that these events give when nothing happens on the way."""
    async with database.writing() as connection:
        records = [recorded.incoming(number, event) for number, event in enumerate(events)]
        await Writer().write(connection, [recorded.stretch(records)])
    rows = await looking.everything(database, times=False)
    async with database.writing() as connection:
        for table in looking.OF_A_GENERATION:
            await connection.execute(table.delete())
    return rows


async def test_events_become_rows(connection, settings, database):
    """What is committed is in the tables, once; what was aborted is not; and no other topic appears."""
    await events_become_rows(connection, settings, database)


async def events_become_rows(connection, settings, database):
    """Events are written, aborted, and written while a projector reads."""
    names = await traffic.topics(connection, settings.prefix)
    events = traffic.interleaved(0, 200)
    expected = await undisturbed(database, events)
    await traffic.write(connection, names, events[:500])
    await traffic.abort(connection, names, traffic.interleaved(9_000, 5))
    async with projecting(settings) as projector:
        await traffic.write(connection, names, events[500:])
        await looking.until(database, len(events))
        assert projector.not_ready() == []
    assert await looking.everything(database, times=False) == expected
    async with Admin(connection) as admin:
        assert set(await admin.topics(f"{settings.prefix}.")) == {names.events, names.state, names.definitions}
        committed = await admin.committed(Topics(settings.prefix).projector_group)
    assert sum(each.offset for each in committed.values()) > 0


@pytest.mark.parametrize("broker", [KAFKA], indirect=True)
@pytest.mark.parametrize("visibility_url", ["sqlite"], indirect=True)
async def test_reading_what_is_not_committed_would_be_seen(connection, settings, database):
    """The test above fails when the projector reads what was aborted as well."""
    rule = ('isolation="read_committed"', 'isolation="read_uncommitted"')
    with mutated("actionbus.projector.driver", rule), pytest.raises(AssertionError):
        await events_become_rows(connection, settings, database)


async def test_a_projector_goes_on_where_the_tables_end(connection, settings, database):
    """One that is started again writes only what is new, whatever the offsets of the group say."""
    names = await traffic.topics(connection, settings.prefix)
    events = traffic.interleaved(0, 100)
    expected = await undisturbed(database, events)
    for begin in range(0, len(events), 200):
        await traffic.write(connection, names, events[begin : begin + 200])
        async with projecting(settings):
            await looking.until(database, len(events[: begin + 200]))
    assert await looking.everything(database, times=False) == expected


async def test_two_projectors_share_the_partitions(connection, settings, database):
    """A second projector comes and goes in the middle of a burst, and the rows are those of one."""
    names = await traffic.topics(connection, settings.prefix)
    events = traffic.interleaved(0, 600)
    expected = await undisturbed(database, events)
    writing = asyncio.create_task(traffic.write(connection, names, events))
    async with projecting(settings):
        await looking.until_at_least(database, 1)
        async with projecting(settings):
            await writing
        await looking.until(database, len(events))
    assert await looking.everything(database, times=False) == expected


async def test_what_cannot_be_read_stops_nothing(connection, settings, database):
    """Records that are no events, an empty one too, are set aside with a reason, and the rest is written."""
    names = await traffic.topics(connection, settings.prefix)
    await traffic.plainly(connection, names, [b"\x00\x01nonsense", b"{}", b"\xc3\x01short"])
    events = traffic.interleaved(0, 20)
    async with projecting(settings):
        await traffic.write(connection, names, events)
        await looking.until(database, len(events))
        await looking.until_set_aside(database, 3)
