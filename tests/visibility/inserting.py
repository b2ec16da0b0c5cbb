"""Rows put into the tables by hand: what questions are asked about."""

from typing import Any

from sqlalchemy import Table, insert

from actionbus.visibility.database import Database
from actionbus.visibility.insights import COUNTS
from actionbus.visibility.tables import ATTRIBUTES, EVENTS, LATENCIES, RUNS, STEPS, TASKS, WINDOWS

RUN = {
    "generation": 1,
    "incarnation": "a",
    "workflow": "signup",
    "definition_version": "1",
    "status": "RUNNING",
    "version": 1,
    "first_version": 1,
    "live_steps": 1,
}


async def rows(database: Database, table: Table, *values: dict[str, Any]) -> None:
    """Insert rows as they are."""
    async with database.writing() as connection:
        for each in values:
            await connection.execute(insert(table).values({"generation": 1, **each}))


async def run(database: Database, run_id: str, at: int = 1_000, **more: Any) -> None:
    """One run, begun at a time."""
    attributes = more.pop("attributes", {})
    values = RUN | {"run_id": run_id, "created_at": at, "updated_at": at} | more
    await rows(database, RUNS, values)
    for name, value in attributes.items():
        await rows(
            database,
            ATTRIBUTES,
            {"run_id": run_id, "incarnation": values["incarnation"], "name": name, "value": value},
        )


async def event(database: Database, run_id: str, version: int, record: bytes = b"record") -> None:
    """One event of a run."""
    values = {"run_id": run_id, "incarnation": "a", "version": version, "at": version, "record": record}
    await rows(database, EVENTS, values)


async def step(database: Database, run_id: str, path: str, **more: Any) -> None:
    """One step of a run."""
    values = {"run_id": run_id, "incarnation": "a", "path": path, "status": "SCHEDULED", "attempt": 1}
    await rows(database, STEPS, values | more)


async def task(database: Database, run_id: str, **more: Any) -> None:
    """One open task."""
    values = {"run_id": run_id, "incarnation": "a", "path": "approve", "workflow": "order", "form": "approval"}
    await rows(database, TASKS, values | {"opened_at": 1_000, "overdue": False} | more)


async def window(database: Database, start: int, buckets: dict[int, int], **more: Any) -> None:
    """One minute of a workflow, unless ``more`` says otherwise."""
    key = {"resolution": "1m", "start": start, "kind": "workflow", "name": "signup"}
    key |= {name: more.pop(name) for name in key.keys() & more.keys()}
    await rows(database, WINDOWS, dict.fromkeys(COUNTS, 0) | key | more)
    await rows(database, LATENCIES, *({**key, "bucket": bucket, "count": count} for bucket, count in buckets.items()))
