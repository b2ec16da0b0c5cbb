"""What is deleted when its time is over, a bounded number at a time, and what stays."""

from sqlalchemy import func, insert, select

from actionbus.visibility import generations
from actionbus.visibility.insights import Resolution
from actionbus.visibility.retention import DAY_MS, READERS_MS, Retention, expire
from actionbus.visibility.tables import (
    ATTRIBUTES,
    EVENTS,
    GENERATIONS,
    LATENCIES,
    OF_A_RUN,
    RUNS,
    STEPS,
    TASKS,
    UNREADABLE,
    WINDOWS,
)
from visibility import inserting

NOW = 1_000 * DAY_MS


def kept(batch_rows=1_000):
    """Runs for ten days, events for five, windows for one, two and three."""
    days = {Resolution.MINUTE: 1, Resolution.HOUR: 2, Resolution.DAY: 3}
    return Retention(runs_days=10, events_days=5, windows_days=days, batch_rows=batch_rows)


async def column(database, table, name, generation=1):
    """The values of a column, sorted."""
    async with database.reading() as connection:
        rows = await connection.execute(select(table.c[name]).where(table.c.generation == generation))
        return sorted(rows.scalars())


async def expired(database, *, batch_rows=1_000, clock=NOW):
    """Delete until nothing is left to delete; how many each time."""
    found = []
    while deleted := await expire(database, kept(batch_rows), now=NOW, clock=clock):
        found.append(deleted)
    return found


async def _run(database, run_id, *, ended_days_ago=None):
    ended = None if ended_days_ago is None else NOW - ended_days_ago * DAY_MS
    await inserting.run(database, run_id, at=1_000, ended_at=ended, attributes={"customer": "c-1"})
    await inserting.step(database, run_id, "greet")
    await inserting.task(database, run_id)
    row = {"run_id": run_id, "incarnation": "a", "version": 1, "at": NOW, "record": b"record"}
    await inserting.rows(database, EVENTS, row)


async def test_a_run_goes_with_everything_about_it(database):
    """A run that ended long ago leaves no row; one that ended lately, and one that lives, keep all of theirs."""
    await _run(database, "old", ended_days_ago=11)
    await _run(database, "young", ended_days_ago=9)
    await _run(database, "live")
    assert sum(await expired(database)) == 1
    for table in (RUNS, EVENTS, STEPS, ATTRIBUTES, TASKS):
        assert await column(database, table, "run_id") == ["live", "young"]
    assert {RUNS, EVENTS, STEPS, ATTRIBUTES, TASKS} == {RUNS, *OF_A_RUN}


async def test_only_the_incarnation_that_is_over_goes(database):
    """A run id that was used again keeps the rows of its later run."""
    await _run(database, "again", ended_days_ago=11)
    await inserting.run(database, "again", incarnation="b")
    await inserting.rows(
        database, STEPS, {"run_id": "again", "incarnation": "b", "path": "p", "status": "SCHEDULED", "attempt": 1}
    )
    await expired(database)
    assert await column(database, RUNS, "incarnation") == await column(database, STEPS, "incarnation") == ["b"]


async def test_events_of_a_live_run_go_and_the_run_stays(database):
    """Single events leave by their own time, and so do records that could not be read."""
    await inserting.run(database, "live")
    for version, days in enumerate((7, 6, 4), start=1):
        at = NOW - days * DAY_MS
        row = {"run_id": "live", "incarnation": "a", "version": version, "at": at, "record": b"record"}
        await inserting.rows(database, EVENTS, row)
        bad = {"partition": 0, "position": version, "at": at, "reason": "no record of ours", "record": b"?"}
        await inserting.rows(database, UNREADABLE, bad)
    await expired(database)
    assert await column(database, EVENTS, "version") == await column(database, UNREADABLE, "position") == [3]
    assert await column(database, RUNS, "run_id") == ["live"]


async def test_windows_go_by_their_length(database):
    """Each length has a time of its own, and latencies go with their windows."""
    for resolution in Resolution:
        for half_days in range(8):
            start = NOW - half_days * DAY_MS // 2
            await inserting.window(database, start, {5: 1}, resolution=resolution.value)
    await expired(database)
    for table in (WINDOWS, LATENCIES):
        assert await column(database, table, "resolution") == ["1d"] * 7 + ["1h"] * 5 + ["1m"] * 3


async def test_a_bounded_number_goes_at_a_time(database):
    """However much is over, one transaction deletes a few rows of each kind, and says whether to ask again."""
    for number in range(5):
        await inserting.run(database, f"run-{number}", ended_at=1_000)
        await inserting.event(database, f"run-{number}", 1)
        await inserting.event(database, "another", number + 1)
    assert await expire(database, kept(batch_rows=10), now=NOW, clock=NOW) <= 1 + 10
    assert len(await column(database, RUNS, "run_id")) == 4
    assert all(deleted <= 1 + 10 for deleted in await expired(database, batch_rows=10))
    assert await column(database, RUNS, "run_id") == await column(database, EVENTS, "run_id") == []


async def test_a_generation_goes_when_nobody_can_read_it_any_more(database):
    """One that was retired stays a while for its last readers, then goes row by row and is forgotten; others stay."""
    async with database.writing() as connection:
        for number, status, at in ((7, "retired", NOW), (8, "building", None)):
            values = {"generation": number, "status": status, "begun_at": 0, "switched_at": at}
            await connection.execute(insert(GENERATIONS).values(values))
    for generation in (1, 7, 8):
        for number in range(3):
            await inserting.run(database, f"run-{number}", generation=generation)
    assert await expired(database, clock=NOW + READERS_MS) == []
    assert len(await expired(database, batch_rows=1, clock=NOW + READERS_MS + 1)) == 3 + 1
    assert [len(await column(database, RUNS, "run_id", each)) for each in (1, 7, 8)] == [3, 0, 3]
    async with database.reading() as connection:
        assert await generations.retired(connection, before=NOW * 2) == []
        assert (await connection.execute(select(func.count()).select_from(GENERATIONS))).scalar_one() == 2
