"""What can be asked about runs: lists, counts, one run with its steps, its history, tasks and incidents.

Every answer is of one generation, and of the last commit. Raises Unavailable when the database does not answer.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, Table, and_, func, literal, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from actionbus.contracts.run import RunStatus
from actionbus.visibility import answers, cursors, generations
from actionbus.visibility.database import Database
from actionbus.visibility.filters import RunFilter, RunSort, conditions
from actionbus.visibility.rows import (
    HistoryPage,
    LiveRuns,
    Page,
    RunCounts,
    RunDetail,
    RunRow,
    StoredEvent,
    TaskRow,
    WrittenTo,
)
from actionbus.visibility.tables import ATTRIBUTES, EVENTS, POSITIONS, RUNS, STEPS, TASKS

NO_FILTER: Final = RunFilter()


class Questions:
    """Asks one visibility database. ``limit`` is how many rows a page holds at most."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def runs(
        self,
        asked: RunFilter = NO_FILTER,
        *,
        sort: RunSort = RunSort.NEWEST,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[RunRow]:
        """Runs, a page at a time; raises PayloadRefused for a cursor that is none."""
        moment = RUNS.c.created_at if sort in (RunSort.STARTED, RunSort.NEWEST) else RUNS.c.updated_at
        key = (moment, RUNS.c.run_id, RUNS.c.incarnation)
        async with self._database.reading() as connection:
            generation = await generations.live(connection)
            query = select(RUNS).where(conditions(asked, generation))
            found, following = await _page(
                connection, query, key, order=sort, limit=limit, cursor=cursor, down=sort.startswith("-")
            )
            known = await _attributes(connection, generation, found)
        return Page(items=tuple(answers.run(row, known) for row in found), next_cursor=following)

    async def count(self, asked: RunFilter = NO_FILTER) -> RunCounts:
        """How many runs there are, in all and by status."""
        async with self._database.reading() as connection:
            where = conditions(asked, await generations.live(connection))
            rows = await connection.execute(select(RUNS.c.status, func.count()).where(where).group_by(RUNS.c.status))
            by_status = {RunStatus(status): count for status, count in rows}
        return RunCounts(count=sum(by_status.values()), by_status=by_status)

    async def run(self, run_id: str, incarnation: str | None = None) -> RunDetail | None:
        """One run with its steps; None when there is none. ``incarnation`` None: the latest of that id."""
        async with self._database.reading() as connection:
            generation = await generations.live(connection)
            row = await _latest(connection, generation, run_id, incarnation)
            if row is None:
                return None
            known = await _attributes(connection, generation, [row])
            steps = await connection.execute(
                select(STEPS).where(*_of_run(STEPS, generation, row)).order_by(STEPS.c.first_scheduled_at, STEPS.c.path)
            )
            return RunDetail(run=answers.run(row, known), steps=tuple(answers.step(each) for each in steps))

    async def history(
        self, run_id: str, incarnation: str | None = None, *, after: int = 0, limit: int = 100
    ) -> HistoryPage | None:
        """The events of a run with versions above ``after``, oldest first; None when there is no such run."""
        async with self._database.reading() as connection:
            generation = await generations.live(connection)
            row = await _latest(connection, generation, run_id, incarnation)
            if row is None:
                return None
            found = await connection.execute(
                select(EVENTS.c.version, EVENTS.c.at, EVENTS.c.record)
                .where(*_of_run(EVENTS, generation, row), EVENTS.c.version > after)
                .order_by(EVENTS.c.version)
                .limit(limit + 1)
            )
            rows = [StoredEvent(version=version, at=at, record=bytes(record)) for version, at, record in found]
        items = tuple(rows[:limit])
        following = items[-1].version if len(rows) > limit else None
        return HistoryPage(run_id=row.run_id, incarnation=row.incarnation, items=items, next_after=following)

    async def tasks(
        self,
        *,
        workflow: str | None = None,
        assignee: str | None = None,
        overdue: bool | None = None,
        now: int,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[TaskRow]:
        """Open tasks of people, the oldest first. One is overdue when the run said so, or ``now`` is past its time."""
        late = TASKS.c.overdue | (func.coalesce(TASKS.c.due_at, now + 1) <= now)
        key = (TASKS.c.opened_at, TASKS.c.run_id, TASKS.c.incarnation, TASKS.c.path)
        async with self._database.reading() as connection:
            query = select(TASKS).where(TASKS.c.generation == await generations.live(connection))
            for column, value in ((TASKS.c.workflow, workflow), (TASKS.c.assignee, assignee)):
                query = query if value is None else query.where(column == value)
            if overdue is not None:
                query = query.where(late if overdue else ~late)
            found, following = await _page(connection, query, key, order="tasks", limit=limit, cursor=cursor)
        return Page(items=tuple(answers.task(row, now) for row in found), next_cursor=following)

    async def incidents(
        self, *, workflow: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[RunRow]:
        """Runs that wait for an operator, those first that have waited longest."""
        key = (RUNS.c.incident_since, RUNS.c.run_id, RUNS.c.incarnation)
        async with self._database.reading() as connection:
            generation = await generations.live(connection)
            query = select(RUNS).where(conditions(RunFilter(incident=True, workflow=workflow), generation))
            found, following = await _page(connection, query, key, order="incidents", limit=limit, cursor=cursor)
            known = await _attributes(connection, generation, found)
        return Page(items=tuple(answers.run(row, known) for row in found), next_cursor=following)

    async def live_runs(self, workflow: str | None = None) -> tuple[LiveRuns, ...]:
        """How many runs of each version of each workflow have not ended."""
        asked = RunFilter(live=True, workflow=workflow)
        what = (RUNS.c.workflow, RUNS.c.definition_version)
        async with self._database.reading() as connection:
            where = conditions(asked, await generations.live(connection))
            rows = await connection.execute(select(*what, func.count()).where(where).group_by(*what).order_by(*what))
            return tuple(
                LiveRuns(workflow=name, definition_version=version, count=count) for name, version, count in rows
            )

    async def written_to(self) -> tuple[WrittenTo, ...]:
        """How far the tables follow each partition of the events topic."""
        async with self._database.reading() as connection:
            rows = await connection.execute(
                select(POSITIONS.c.partition, POSITIONS.c.position, POSITIONS.c.at)
                .where(POSITIONS.c.generation == await generations.live(connection))
                .order_by(POSITIONS.c.partition)
            )
            return tuple(WrittenTo(partition=partition, position=position, at=at) for partition, position, at in rows)


async def _page(
    connection: AsyncConnection,
    query: Select[Any],
    key: tuple[ColumnElement[Any], ...],
    *,
    order: str,
    limit: int,
    cursor: str | None,
    down: bool = False,
) -> tuple[Sequence[Row[Any]], str | None]:
    """Rows behind a cursor in the order of a key, and the cursor behind them if there are more."""
    if cursor is not None:
        values = cursors.read(order, cursor, *(each.type.python_type for each in key))
        behind = tuple_(*(literal(value, each.type) for value, each in zip(values, key, strict=True)))
        query = query.where(tuple_(*key) < behind if down else tuple_(*key) > behind)
    query = query.order_by(*(each.desc() if down else each for each in key)).limit(limit + 1)
    found = (await connection.execute(query)).all()
    if len(found) <= limit:
        return found, None
    last = found[limit - 1]
    return found[:limit], cursors.written(order, tuple(getattr(last, str(each.key)) for each in key))


async def _latest(
    connection: AsyncConnection, generation: int, run_id: str, incarnation: str | None
) -> Row[Any] | None:
    query = select(RUNS).where(RUNS.c.generation == generation, RUNS.c.run_id == run_id)
    if incarnation is not None:
        query = query.where(RUNS.c.incarnation == incarnation)
    # An incarnation is an offset in base 36: the longer one is the later.
    later = (RUNS.c.created_at.desc(), func.length(RUNS.c.incarnation).desc(), RUNS.c.incarnation.desc())
    return (await connection.execute(query.order_by(*later).limit(1))).first()


def _of_run(table: Table, generation: int, row: Row[Any]) -> tuple[ColumnElement[bool], ...]:
    return (
        table.c.generation == generation,
        table.c.run_id == row.run_id,
        table.c.incarnation == row.incarnation,
    )


async def _attributes(
    connection: AsyncConnection, generation: int, runs: Iterable[Row[Any]]
) -> Mapping[tuple[str, str], Mapping[str, str]]:
    """What can be searched of some runs."""
    found: dict[tuple[str, str], dict[str, str]] = {(row.run_id, row.incarnation): {} for row in runs}
    if not found:
        return found
    rows = await connection.execute(
        select(ATTRIBUTES)
        .where(and_(ATTRIBUTES.c.generation == generation, ATTRIBUTES.c.run_id.in_({run_id for run_id, _ in found})))
        .order_by(ATTRIBUTES.c.name)
    )
    for row in rows:
        if (row.run_id, row.incarnation) in found:
            found[row.run_id, row.incarnation][row.name] = row.value
    return found
