"""The tables that people read, compared row by row with the topics that they are made from."""

import asyncio
import time
from collections import Counter

from sqlalchemy import func, select

from actionbus.contracts.events import EntryKind
from actionbus.contracts.run import RunStatus
from actionbus.visibility import generations
from actionbus.visibility.database import Database
from actionbus.visibility.tables import EVENTS, RUNS, WINDOWS
from integration.books import Books

QUIET_SECONDS = 120.0  # without a new row, after the last fault is healed: what is missing never comes
ENDED = ("completed", "failed", "cancelled", "terminated", "timed_out")


async def violations(url: str, published: Books) -> list[str]:
    """What the tables say that the topics do not, or do not say; they are given the time to catch up."""
    wanted = {(*life.rsplit(":", 1), version) for life, versions in published.versions.items() for version in versions}
    async with Database(url) as database:
        await _caught_up(database, len(wanted))
        async with database.reading() as connection:
            live = await generations.live(connection)
            rows = await connection.execute(
                select(EVENTS.c.run_id, EVENTS.c.incarnation, EVENTS.c.version).where(EVENTS.c.generation == live)
            )
            found = [(run_id, incarnation, int(version)) for run_id, incarnation, version in rows]
            rows = await connection.execute(
                select(RUNS.c.run_id, RUNS.c.incarnation, RUNS.c.version, RUNS.c.status).where(
                    RUNS.c.generation == live
                )
            )
            runs = {(row[0], row[1]): (int(row[2]), row[3]) for row in rows}
            sums = [func.coalesce(func.sum(WINDOWS.c[name]), 0) for name in ("started", *ENDED)]
            windows = await connection.execute(
                select(*sums).where(
                    WINDOWS.c.generation == live, WINDOWS.c.kind == "workflow", WINDOWS.c.resolution == "1m"
                )
            )
            started, *ended = (int(value) for value in windows.one())
    return [*_of_events(wanted, found), *_of_runs(published, runs), *_of_windows(published, started, sum(ended))]


async def _caught_up(database: Database, events: int) -> None:
    """Return once so many events are in the table, or once no more come."""
    before, since = -1, time.monotonic()
    while time.monotonic() - since < QUIET_SECONDS:
        async with database.reading() as connection:
            live = await generations.live(connection)
            count = select(func.count()).select_from(EVENTS).where(EVENTS.c.generation == live)
            now = (await connection.execute(count)).scalar_one()
        if now >= events:
            return
        if now != before:
            before, since = now, time.monotonic()
        await asyncio.sleep(0.1)


def _of_events(wanted: set[tuple], found: list[tuple]) -> list[str]:
    counts = Counter(found)
    return [
        *(f"the tables lack event {each}" for each in wanted - counts.keys()),
        *(f"the tables have event {each}, which nobody committed" for each in counts.keys() - wanted),
    ]


def _of_runs(published: Books, runs: dict[tuple[str, str], tuple[int, str]]) -> list[str]:
    """Every life has its row, which says what its last event says, and what its state says where that is kept yet."""
    rows = {":".join(life): row for life, row in runs.items()}
    wrong = [f"the tables have run {life}, which no event tells of" for life in rows.keys() - published.versions.keys()]
    states = {f"{each.run_id}:{each.incarnation}": each for each in published.states.values()}
    for life, versions in published.versions.items():
        version, status = rows.get(life, (0, ""))
        state = states.get(life)
        if version != len(versions) or (state is not None and status != state.status):
            wrong.append(
                f"{life} is {state and state.status} at version {len(versions)}, and {rows.get(life)} in the tables"
            )
        elif bool(published.kinds[life][EntryKind.RUN_ENDED]) != RunStatus(status).ended:
            wrong.append(f"{life} is {status} in the tables, and its events say otherwise")
    return wrong


def _of_windows(published: Books, started: int, ended: int) -> list[str]:
    wrong = []
    for kind, told in ((EntryKind.RUN_STARTED, started), (EntryKind.RUN_ENDED, ended)):
        happened = sum(counts[kind] for counts in published.kinds.values())
        if happened != told:
            wrong.append(f"the windows count {told} times {kind.value}, the events {happened}")
    return wrong
