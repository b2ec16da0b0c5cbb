"""Commands that kill every worker that begins them: set aside after a few, while everything else is carried out."""

from collections import Counter

import pytest

from actionbus.contracts.limits import DEFAULT_LIMITS
from actionbus.contracts.results import ResultKind
from actionbus.sdk.action import Action
from actionbus.worker import metadata
from worker.deadly_app import visit
from worker.processes import supervised
from worker.station import Station, until
from worker.stroll_app import stroll

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


async def test_a_command_that_kills_every_worker_is_set_aside(connection, prefix, tmp_path):
    """Its run is told, its record is kept as it was, and what stood beside it is carried out."""
    async with Station(connection, prefix, visit, partitions=1) as station:
        places = ["park", "pit", "museum", "harbour"]
        sent = [station.command(visit, n, value={"place": place}) for n, place in enumerate(places)]
        await station.send(*sent)
        async with supervised(station, tmp_path, "worker.deadly_app") as codes:
            results = {each.run_id: each for each in await station.answers(4)}
            (letter,) = await station.dead_letters(visit)
            await station.commits(visit, p0=4)
        began = Counter((tmp_path / "began.txt").read_text().split())
        assert began["pit"] == len(codes) == DEFAULT_LIMITS.command_crashes
        assert {run for run, each in results.items() if each.kind is ResultKind.SUCCEEDED} == {"r-0", "r-2", "r-3"}
        failed = results["r-1"]
        assert failed.error is not None
        assert (failed.error.type, failed.error.retryable) == ("Deadly", False)
        assert letter.value == station.codec.encode(sent[1])
        assert dict(letter.headers)["actionbus-dlq-exception-type"] == b"CommandDeadly"


@pytest.mark.parametrize("crashes", [3, DEFAULT_LIMITS.command_crashes])
async def test_the_innocent_beside_a_deadly_command_are_not_set_aside(connection, prefix, tmp_path, crashes):
    """Long attempts that are killed again and again along with the guilty one end all the same."""
    async with Station(connection, prefix, visit, partitions=1) as station:
        long = [station.command(visit, n, value={"place": f"long-{n}", "seconds": 1.5}) for n in range(3)]
        await station.send(*long, station.command(visit, 3, value={"place": "pit"}))
        limit = {"ACTIONBUS_LIMITS_COMMAND_CRASHES": str(crashes)}
        async with supervised(station, tmp_path, "worker.deadly_app", **limit):
            results = {each.run_id: each for each in await station.answers(4)}
        assert {run for run, each in results.items() if each.kind is ResultKind.SUCCEEDED} == {"r-0", "r-1", "r-2"}
        assert len(await station.dead_letters(visit)) == 1


@pytest.mark.parametrize("crashes", [3, DEFAULT_LIMITS.command_crashes])
async def test_the_innocent_of_another_action_are_not_set_aside(connection, prefix, tmp_path, crashes):
    """They die with the guilty one, for it is one process; what is suspected is begun alone in all of it."""
    async with Station(connection, prefix, visit, stroll, partitions=1) as station:
        long = [station.command(stroll, n, value={"seconds": 1.5}) for n in range(3)]
        await station.send(*long, station.command(visit, 3, value={"place": "pit"}))
        limit = {"ACTIONBUS_LIMITS_COMMAND_CRASHES": str(crashes)}
        async with supervised(station, tmp_path, "worker.deadly_pair_app", **limit):
            results = {each.run_id: each for each in await station.answers(4)}
        assert {run for run, each in results.items() if each.kind is ResultKind.SUCCEEDED} == {"r-0", "r-1", "r-2"}
        assert len(await station.dead_letters(visit)) == 1


async def test_after_a_good_leave_nothing_is_suspected(connection, prefix):
    """A worker that leaves takes back what it put on record, and the next one owes nothing to anybody."""

    async def work() -> None:
        return None

    action = Action(id="work", execute=work)
    async with Station(connection, prefix, action, partitions=1) as station:
        async with station.worker():
            await station.send(station.command(action, 1))
            await station.results(1)

            async def held():
                stored = (await station.committed(action)).get(0)
                return stored is not None and metadata.read(metadata.Position(offset=1, metadata=stored.metadata)).held

            await until(held, "a partition that is held")
        stored = (await station.committed(action))[0]
        assert (stored.offset, stored.metadata) == (1, "")
