"""`actionbus projector rebuild` as an operator runs it: a process of its own, beside projectors and readers."""

import asyncio
import re

import pytest
from sqlalchemy import case, func, select, update

from actionbus.visibility import generations
from actionbus.visibility.tables import EVENTS, GENERATIONS, RUNS
from integration.installation import Installation
from projector import looking, traffic
from projector.conftest import projecting
from support.commands import COMMAND

ENDED_SECONDS = 240.0
RUNS_WRITTEN = 1_700  # of six events each: enough that it says how far it is
SPOILT = "spoilt"
PROGRESS = re.compile(r"(\d+) events written, (\d+) of at least (\d+) offsets")


class Rebuild:
    """The command under way."""

    def __init__(self, settings, folder, **more: str) -> None:
        made = Installation(
            bootstrap=",".join(settings.kafka.bootstrap_servers), prefix=settings.prefix, folder=folder, app=folder
        )
        self._environment = made.environment | {
            "ACTIONBUS_VISIBILITY_URL": settings.visibility.url.get_secret_value(),
            **more,
        }

    async def start(self):
        """Begin."""
        return await asyncio.create_subprocess_exec(
            *COMMAND, "projector", "rebuild", env=self._environment, stderr=asyncio.subprocess.PIPE
        )

    async def run(self) -> list[str]:
        """Run it to its end; what it said."""
        process = await self.start()
        async with asyncio.timeout(ENDED_SECONDS):
            _, said = await process.communicate()
        assert process.returncode == 0, said
        return said.decode().splitlines()


async def _spoil(database):
    """What a rebuild is there for."""
    async with database.writing() as connection:
        await connection.execute(update(RUNS).values(workflow=SPOILT))


async def _watch(database, over):
    """What a reader is shown as long as a rebuild goes on: generation, runs, and how many of them are spoilt."""
    found = []
    last = False
    while not last:
        last = over.is_set()  # once more when it is over: a busy machine may not have looked since the change
        async with database.reading() as connection:
            live = await generations.live(connection)
            spoilt = func.sum(case((RUNS.c.workflow == SPOILT, 1), else_=0))
            rows = await connection.execute(select(func.count(), spoilt).where(RUNS.c.generation == live))
            seen = (live, *rows.one())
        if seen not in found:
            found.append(seen)
        await asyncio.sleep(0.01)
    return found


@pytest.mark.slow
async def test_a_rebuild_says_how_far_it_is_and_changes_at_once(connection, settings, database, tmp_path):
    """A reader sees all old rows and then all new ones, nothing between, and the projector goes on in the new ones."""
    names = await traffic.topics(connection, settings.prefix)
    events = traffic.interleaved(0, RUNS_WRITTEN)
    await traffic.write(connection, names, events)
    async with projecting(settings):
        await looking.until(database, len(events))
        expected = await looking.everything(database, times=False)
        await _spoil(database)
        over = asyncio.Event()
        watching = asyncio.create_task(_watch(database, over))
        said = await Rebuild(settings, tmp_path).run()
        over.set()
        assert await watching == [(1, RUNS_WRITTEN, RUNS_WRITTEN), (2, RUNS_WRITTEN, 0)]
        assert await looking.everything(database, times=False) == expected
        more = traffic.interleaved(RUNS_WRITTEN, 20)
        await traffic.write(connection, names, more)
        await looking.until(database, len(events) + len(more))
    *steps, last = said
    assert last.startswith("generation 2 is live")
    told = [tuple(map(int, PROGRESS.fullmatch(line).groups())) for line in steps]
    assert told
    assert all(0 < written <= passed <= total for written, passed, total in told)


@pytest.mark.slow
async def test_a_rebuild_that_was_killed_is_begun_again(connection, settings, database, tmp_path):
    """The live rows are as they were after kill -9 in its middle; the next one gives up what was begun, and changes."""
    names = await traffic.topics(connection, settings.prefix)
    events = traffic.interleaved(0, 300)
    await traffic.write(connection, names, events)
    async with projecting(settings):
        await looking.until(database, len(events))
        expected = await looking.everything(database, times=False)
        process = await Rebuild(settings, tmp_path, ACTIONBUS_PROJECTOR_BATCH_EVENTS="10").start()
        async with asyncio.timeout(ENDED_SECONDS):
            while not await _begun(database):  # noqa: ASYNC110 - rows tell nobody that they came
                await asyncio.sleep(0.01)
        process.kill()
        await process.communicate()
        assert await looking.everything(database, times=False) == expected
        said = await Rebuild(settings, tmp_path).run()
        assert said[-1].startswith("generation 3 is live")
        assert await looking.everything(database, times=False) == expected
    async with database.reading() as reading:
        rows = await reading.execute(select(GENERATIONS.c.status).where(GENERATIONS.c.status != "retired"))
        assert list(rows.scalars()) == ["live"]


async def _begun(database):
    """Whether a rebuild has written something."""
    async with database.reading() as connection:
        rows = await connection.execute(select(func.count()).select_from(EVENTS).where(EVENTS.c.generation == 2))
        return rows.scalar_one()
