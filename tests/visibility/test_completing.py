"""What a rebuild cannot learn from events: told by the state of runs, and carried over from the live tables."""

import pytest
from sqlalchemy import select

from actionbus.visibility import completing
from actionbus.visibility.tables import ATTRIBUTES, EVENTS, LATENCIES, RUNS, STEPS, TASKS, WINDOWS
from actionbus.visibility.writing import Writer
from visibility import inserting, recorded

NEXT = 2
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
FIRST = 20_000 * DAY + 5 * HOUR + 7 * MINUTE + 31_000  # when the oldest event came that is still there


@pytest.fixture(autouse=True)
async def _next(database):
    """The generation that is filled has an event: what is older comes from the live one."""
    row = {"run_id": "new", "incarnation": "a", "version": 1, "at": FIRST, "record": b"record"}
    await inserting.rows(database, EVENTS, {"generation": NEXT, **row})


async def carried(database):
    """Carry over, as a rebuild does before it changes."""
    async with database.writing() as connection:
        for all_read in (False, True):
            await completing.carry_over(connection, NEXT, all_read=all_read)


async def there(database, table, *names):
    """Some columns of the rows of the next generation, sorted."""
    async with database.reading() as connection:
        columns = [table.c[name] for name in names]
        rows = await connection.execute(select(*columns).where(table.c.generation == NEXT))
        return sorted(tuple(row) for row in rows)


async def _ended(database, run_id, **more):
    await inserting.run(database, run_id, ended_at=2_000, status="COMPLETED", attributes={"customer": "c-1"}, **more)
    await inserting.event(database, run_id, 1)
    await inserting.step(database, run_id, "greet", ended_at=2_000)
    await inserting.task(database, run_id)


async def test_ended_runs_without_events_are_carried_over(database):
    """With their events, steps and attributes, and without tasks: an ended run asks nobody."""
    await _ended(database, "over")
    await carried(database)
    assert await there(database, RUNS, "run_id", "status", "ended_at") == [("over", "COMPLETED", 2_000)]
    assert await there(database, EVENTS, "run_id") == [("new",), ("over",)]
    assert await there(database, STEPS, "run_id", "path", "ended_at") == [("over", "greet", 2_000)]
    assert await there(database, ATTRIBUTES, "run_id", "value") == [("over", "c-1")]
    assert await there(database, TASKS, "run_id") == []


async def test_what_the_events_told_is_not_carried_over(database):
    """A run that the new tables know stays as they know it, and its old rows stay behind."""
    await _ended(database, "known", workflow="spoilt")
    await inserting.run(database, "known", generation=NEXT)
    await carried(database)
    assert await there(database, RUNS, "run_id", "workflow", "status") == [("known", "signup", "RUNNING")]
    assert await there(database, STEPS, "run_id") == await there(database, ATTRIBUTES, "run_id") == []


async def test_another_run_of_the_same_id_is_carried_over(database):
    """A run is its id and its incarnation: that a later one is known says nothing of the one before."""
    await _ended(database, "again")
    await inserting.run(database, "again", incarnation="b", generation=NEXT)
    await carried(database)
    assert await there(database, RUNS, "run_id", "incarnation") == [("again", "a"), ("again", "b")]


async def test_runs_that_live_are_not_carried_over(database):
    """A live run stands in the state topic; one that does not is none any more."""
    await inserting.run(database, "lives")
    await carried(database)
    assert await there(database, RUNS, "run_id") == []


@pytest.mark.parametrize(("resolution", "length"), [("1m", MINUTE), ("1h", HOUR), ("1d", DAY)])
async def test_windows_before_the_first_event_are_carried_over(database, resolution, length):
    """Those that were over by then, with their latencies; the one in which it lies is counted from events."""
    own = FIRST - FIRST % length
    for start in (own - 2 * length, own - length, own, own + length):
        await inserting.window(database, start, {7: 3}, resolution=resolution, started=3)
    await carried(database)
    for table in (WINDOWS, LATENCIES):
        assert await there(database, table, "start") == [(own - 2 * length,), (own - length,)]
    assert await there(database, LATENCIES, "bucket", "count") == [(7, 3), (7, 3)]


async def test_a_window_that_ends_with_the_first_event_is_carried_over(database):
    """A window holds the time from its start and before its end: nothing falls between two generations."""
    await inserting.rows(
        database,
        EVENTS,
        {"generation": NEXT, "run_id": "n", "incarnation": "a", "version": 1, "at": 6 * MINUTE, "record": b"r"},
    )
    for start in (5 * MINUTE, 6 * MINUTE):
        await inserting.window(database, start, {}, started=1)
    await carried(database)
    assert await there(database, WINDOWS, "start") == [(5 * MINUTE,)]


async def _write(database, events):
    async with database.writing() as connection:
        await Writer().write(connection, [recorded.stretch(events)], NEXT)


async def _complete(database, *runs):
    async with database.writing() as connection:
        await completing.complete(connection, NEXT, runs)


async def test_a_run_without_events_is_told_by_its_state(database):
    """Its row and its steps are there, and it does not claim that all of its events were seen."""
    _, run = recorded.moments("happy-path")[-2]
    await _complete(database, run)
    (row,) = await there(database, RUNS, "run_id", "status", "version", "first_version", "workflow")
    assert row == (run.run_id, run.status, run.version, run.version + 1, run.workflow)
    assert await there(database, STEPS, "path") == sorted((step.path,) for step in run.steps)


async def test_what_the_state_says_changes_no_later_row(database):
    """A run whose first events are gone keeps what its last ones said, and learns when it began."""
    moments = [(event, run) for event, run in recorded.moments("happy-path") if run is not None and event.version > 0]
    last, before = moments[-1][0], moments[-2][1].replace(run_id=moments[-1][0].run_id)
    await _write(database, [recorded.incoming(0, last)])
    expected = await there(database, RUNS, "run_id", "status", "version", "ended_at", "first_version")
    await _complete(database, before)
    assert await there(database, RUNS, "run_id", "status", "version", "ended_at", "first_version") == expected
    assert await there(database, RUNS, "created_at", "live_steps") == [(before.created_at, 0)]
