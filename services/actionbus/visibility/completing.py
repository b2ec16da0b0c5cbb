"""What a new generation cannot learn from events that are gone: from the state of runs, and from the generation before.

Nothing here is counted in windows: those of times whose events are gone come from the generation before as they were.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Exists, Table, exists, func, insert, literal, select, true, update
from sqlalchemy.ext.asyncio import AsyncConnection

from actionbus.contracts.run import StepStatus, WorkflowRun
from actionbus.visibility import bulk, generations, loading, telling
from actionbus.visibility.insights import LENGTHS_MS
from actionbus.visibility.standing import Node, Standing
from actionbus.visibility.tables import EVENTS, LATENCIES, OF_A_RUN, RUNS, STEPS, TASKS, WINDOWS

_KEY = ("generation", "run_id", "incarnation")


async def complete(connection: AsyncConnection, generation: int, runs: Iterable[WorkflowRun]) -> None:
    """Tell of runs what their state says: all of those without events, the beginning of those whose first are gone.

    The states are older than the last events that were written, so nothing that an event said is overwritten.
    """
    by_key = {(run.run_id, run.incarnation): run for run in runs}
    keys = [(generation, *key) for key in sorted(by_key)]
    rows = {(row.run_id, row.incarnation): row for row in await bulk.select(connection, RUNS, _KEY, keys)}
    missing = [_standing(run) for key, run in by_key.items() if key not in rows]
    await bulk.upsert(connection, RUNS, [loading.run_row(generation, run) for run in missing])
    partly = [_standing(by_key[key]) for key, row in rows.items() if row.first_version > 1]
    nodes = [row for run in (*missing, *partly) for row in loading.node_rows(generation, run)]
    await bulk.insert(connection, STEPS, nodes)
    begun = [(generation, *run.key, run.created_at, run.parent_run_id) for run in partly]
    await bulk.change(connection, RUNS, (*_KEY, "created_at", "parent_run_id"), begun)
    for run in partly:
        await _count(connection, generation, run)


def _standing(run: WorkflowRun) -> Standing:
    made = Standing(
        run_id=run.run_id,
        incarnation=run.incarnation,
        workflow=run.workflow,
        definition_version=run.definition_version,
        status=run.status.value,
        version=run.version,
        first_version=run.version + 1,
        created_at=run.created_at,
        updated_at=run.updated_at,
        ended_at=run.updated_at if run.status.ended else None,
    )
    if run.status.ended and run.error is not None:
        made.error_type, made.error_message = telling.cut(run.error.type), telling.cut(run.error.message)
    if run.incident is not None:
        made.incident_reason, made.incident_step = telling.cut(run.incident.reason), run.incident.step
        made.incident_since = run.incident.since
    if run.parent is not None:
        made.parent_run_id, made.parent_incarnation = run.parent.run_id, run.parent.incarnation
        made.parent_path = run.parent.path
    for step in run.steps:
        ended = step.status in (StepStatus.SUCCEEDED, StepStatus.SKIPPED, StepStatus.COMPENSATED, StepStatus.CANCELLED)
        made.nodes[step.path] = Node(
            path=step.path,
            status=step.status.value,
            action=step.action or None,
            attempt=step.attempt,
            first_scheduled_at=step.first_scheduled_at or None,
            scheduled_at=step.scheduled_at or None,
            ended_at=run.updated_at if ended else None,
            error_type=None if step.error is None else telling.cut(step.error.type),
            error_message=None if step.error is None else telling.cut(step.error.message),
            stuck=telling.cut(step.stuck),
            stuck_since=None if step.stuck is None or run.incident is None else run.incident.since,
        )
    made.changed.update(made.nodes)
    made.live_steps = sum(node.live for node in made.nodes.values())
    return made


async def _count(connection: AsyncConnection, generation: int, run: Standing) -> None:
    """Nodes that came from the state are live as well, unless the run has ended."""
    of_run = (STEPS.c.generation == generation, STEPS.c.run_id == run.run_id, STEPS.c.incarnation == run.incarnation)
    this = (RUNS.c.generation == generation, RUNS.c.run_id == run.run_id, RUNS.c.incarnation == run.incarnation)
    over = select(RUNS.c.ended_at).where(*this).scalar_subquery()
    await connection.execute(
        update(STEPS)
        .where(*of_run, STEPS.c.ended_at.is_(None), over.is_not(None))
        .values(status=StepStatus.CANCELLED.value, ended_at=over)
    )
    live = select(func.count()).select_from(STEPS).where(*of_run, STEPS.c.ended_at.is_(None)).scalar_subquery()
    await connection.execute(update(RUNS).where(*this).values(live_steps=live))


async def carry_over(connection: AsyncConnection, to: int, *, all_read: bool) -> None:
    """Bring what only the live generation knows: ended runs that left no event, and windows before the first event.

    Call it twice. While events are still to be read, only what ended before the first event is brought, for those may
    tell of any other run, and would not be counted any more. ``all_read``: nothing is left to be read, and no writer
    goes on until the transaction has ended.
    """
    live = await generations.live(connection)
    first = (await connection.execute(select(func.min(EVENTS.c.at)).where(EVENTS.c.generation == to))).scalar()
    if first is None and not all_read:
        return
    there, other = RUNS.alias("there"), RUNS.alias("other")
    ended = other.c.ended_at.is_not(None) if all_read else other.c.ended_at < first
    gone = (
        select(other.c.run_id, other.c.incarnation)
        .where(other.c.generation == live, ended)
        .where(
            ~exists().where(
                there.c.generation == to,
                there.c.run_id == other.c.run_id,
                there.c.incarnation == other.c.incarnation,
            )
        )
    ).subquery()
    if (await connection.execute(select(gone).limit(1))).first() is not None:  # else no table is gone through
        for table in (*(each for each in OF_A_RUN if each is not TASKS), RUNS):
            same = (table.c.run_id == gone.c.run_id) & (table.c.incarnation == gone.c.incarnation)
            await _copy(connection, table, to, table.c.generation == live, exists().where(same))
    for table in (WINDOWS, LATENCIES):
        for resolution, length in LENGTHS_MS.items():
            before = true() if first is None else table.c.start + length <= first
            of_live = (table.c.generation == live, table.c.resolution == resolution.value)
            await _copy(connection, table, to, *of_live, before, ~_has(table, to))


def _has(table: Table, to: int) -> Exists:
    """Whether a generation has a row of the same key."""
    there = table.alias("brought")
    key = [column.name for column in table.primary_key if column.name != "generation"]
    return exists().where(there.c.generation == to, *(there.c[name] == table.c[name] for name in key))


async def _copy(connection: AsyncConnection, table: Table, to: int, *where: Any) -> None:
    rest = [column for column in table.columns if column.name != "generation"]
    source = select(literal(to), *rest).where(*where)
    await connection.execute(insert(table).from_select(["generation", *(column.name for column in rest)], source))
