"""From rows of the tables to the values that questions are answered with."""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Row

from actionbus.contracts.run import RunStatus, StepStatus
from actionbus.visibility.rows import (
    RowError,
    RowIncident,
    RowParent,
    RunRow,
    StepRow,
    TaskRow,
)

_NONE: Final[Mapping[str, str]] = {}


def run(row: Row[Any], attributes: Mapping[tuple[str, str], Mapping[str, str]]) -> RunRow:
    """A row of the runs. ``attributes``: what can be searched of runs, by id and incarnation."""
    incident = None
    if row.incident_since is not None:
        incident = RowIncident(reason=row.incident_reason or "", step=row.incident_step, since=row.incident_since)
    parent = None
    if row.parent_run_id is not None:
        parent = RowParent(
            run_id=row.parent_run_id, incarnation=row.parent_incarnation or "", path=row.parent_path or ""
        )
    return RunRow(
        run_id=row.run_id,
        incarnation=row.incarnation,
        workflow=row.workflow,
        definition_version=row.definition_version,
        status=RunStatus(row.status),
        version=row.version,
        complete=row.first_version <= 1,
        created_at=row.created_at,
        updated_at=row.updated_at,
        ended_at=row.ended_at,
        error=_error(row),
        incident=incident,
        parent=parent,
        waits_for=row.waits_for,
        live_steps=row.live_steps,
        attributes=attributes.get((row.run_id, row.incarnation), _NONE),
    )


def step(row: Row[Any]) -> StepRow:
    """A row of the steps."""
    return StepRow(
        path=row.path,
        action=row.action,
        status=StepStatus(row.status),
        attempt=row.attempt,
        first_scheduled_at=row.first_scheduled_at,
        scheduled_at=row.scheduled_at,
        ended_at=row.ended_at,
        error=_error(row),
        waits_for=row.waits_for,
        stuck=row.stuck,
        stuck_since=row.stuck_since,
    )


def task(row: Row[Any], now: int) -> TaskRow:
    """A row of the tasks, as it stands at a time."""
    return TaskRow(
        run_id=row.run_id,
        incarnation=row.incarnation,
        path=row.path,
        workflow=row.workflow,
        form=row.form,
        title=row.title,
        assignee=row.assignee,
        opened_at=row.opened_at,
        due_at=row.due_at,
        overdue=row.overdue or (row.due_at is not None and row.due_at <= now),
    )


def _error(row: Row[Any]) -> RowError | None:
    return None if row.error_type is None else RowError(type=row.error_type, message=row.error_message or "")
