"""The tables are made anew from the topics while projectors go on, and everybody changes over at once."""

import asyncio

import pytest
from sqlalchemy import update

from actionbus.projector import rebuilding
from actionbus.visibility import generations
from actionbus.visibility.tables import RUNS
from projector import looking, traffic
from projector.conftest import projecting


def _unheard(_progress):
    """Nobody listens."""


async def test_a_rebuild_changes_over_under_traffic(connection, settings, database):
    """A rebuild in the middle of a burst gives the rows of an undisturbed run, and the projector goes on in them."""
    names = await traffic.topics(connection, settings.prefix)
    events = traffic.interleaved(0, 400)
    heard = []
    async with projecting(settings):
        await traffic.write(connection, names, events[:800])
        await looking.until(database, 800)
        expected = await looking.everything(database, times=False)
        async with database.writing() as writing:  # what a rebuild is there for
            await writing.execute(update(RUNS).values(workflow="spoilt"))
        assert await rebuilding.rebuild(settings, heard.append) == 2
        assert await looking.everything(database, times=False) == expected
        burst = asyncio.create_task(traffic.write(connection, names, events[800:]))
        assert await rebuilding.rebuild(settings, heard.append) == 3
        await burst
        await looking.until(database, len(events))
    rows = await looking.everything(database, times=False)
    async with database.writing() as writing:
        await generations.begin(writing)  # one that was interrupted
    assert await rebuilding.rebuild(settings, _unheard) == 5
    assert await looking.everything(database, times=False) == rows
    assert heard[-1].events >= 800


async def test_runs_that_end_while_a_rebuild_is_behind_are_counted(
    connection, settings, database, monkeypatch: pytest.MonkeyPatch
):
    """Their rows are live before the rebuild has read their events: taken over from there, no window would count them."""
    names = await traffic.topics(connection, settings.prefix)
    events = traffic.interleaved(0, 100, at_once=10)
    behind = rebuilding._Rebuild._behind

    async def while_more_happens(self):
        found = await behind(self)
        await traffic.write(connection, names, events[200:])
        await looking.until(database, len(events))
        return found

    async with projecting(settings):
        await traffic.write(connection, names, events[:200])
        await looking.until(database, 200)
        monkeypatch.setattr(rebuilding._Rebuild, "_behind", while_more_happens)
        assert await rebuilding.rebuild(settings, _unheard) == 2
    rows = await looking.everything(database, times=False)
    monkeypatch.undo()
    assert await rebuilding.rebuild(settings, _unheard) == 3
    assert await looking.everything(database, times=False) == rows
