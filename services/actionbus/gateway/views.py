"""From rows of the visibility database and records of topics to what the API answers with."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from actionbus.contracts import payloads
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.events import EventEntry, WorkflowEvent
from actionbus.gateway.answers import (
    EntryView,
    ErrorView,
    EventView,
    IncidentView,
    ParentView,
    RunDetailView,
    RunView,
    StepView,
    TaskView,
    WindowView,
)
from actionbus.visibility.rows import RowError, RunDetail, RunRow, StepRow, TaskRow, WindowRow


def moment(milliseconds: int | None) -> datetime | None:
    """A moment that may not be there."""
    return None if milliseconds is None else when(milliseconds)


def when(milliseconds: int) -> datetime:
    """A moment."""
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)


def run(row: RunRow) -> RunView:
    """A run."""
    return RunView(**_run(row))


def detail(found: RunDetail) -> RunDetailView:
    """A run with its steps."""
    return RunDetailView(**_run(found.run), steps=[step(each) for each in found.steps])


def step(row: StepRow) -> StepView:
    """A step."""
    return StepView(
        path=row.path,
        action=row.action,
        status=row.status.value,
        attempt=row.attempt,
        scheduled_at=moment(row.scheduled_at),
        ended_at=moment(row.ended_at),
        error=_error(row.error),
        waits_for=row.waits_for,
        stuck=row.stuck,
    )


def event(record: WorkflowEvent) -> EventView:
    """An event."""
    return EventView(
        run_id=record.run_id,
        incarnation=record.incarnation,
        workflow=record.workflow,
        definition_version=record.definition_version,
        version=record.version,
        status=record.status.value,
        at=when(record.at),
        entries=[_entry(each) for each in record.entries],
    )


def task(row: TaskRow) -> TaskView:
    """A task."""
    return TaskView(
        run_id=row.run_id,
        path=row.path,
        workflow=row.workflow,
        form=row.form,
        title=row.title,
        assignee=row.assignee,
        opened_at=when(row.opened_at),
        due_at=moment(row.due_at),
        overdue=row.overdue,
    )


def window(row: WindowRow) -> WindowView:
    """A window."""
    return WindowView(
        start=when(row.start),
        end=when(row.end),
        started=row.started,
        completed=row.completed,
        failed=row.failed,
        cancelled=row.cancelled,
        terminated=row.terminated,
        timed_out=row.timed_out,
        retries=row.retries,
        compensated=row.compensated,
        incidents=row.incidents,
        failure_share=row.failure_share,
        mean_ms=row.mean_ms,
        p50_ms=row.p50_ms,
        p95_ms=row.p95_ms,
    )


def opened(data: bytes | None) -> Any:
    """A payload as JSON; as text when it is none."""
    if data is None:
        return None
    try:
        return payloads.decode(data)
    except PayloadRefused:
        return data.decode("utf-8", "replace")


def plain(record: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a record, its payloads opened, however deep they stand."""
    return {name: _plain(value) for name, value in record.items()}


def _plain(value: Any) -> Any:
    match value:
        case bytes():
            return opened(value)
        case Mapping():
            return plain(value)
        case list() | tuple():
            return [_plain(each) for each in value]
        case _:
            return value


def _run(row: RunRow) -> dict[str, Any]:
    incident, parent = row.incident, row.parent
    return {
        "run_id": row.run_id,
        "incarnation": row.incarnation,
        "workflow": row.workflow,
        "definition_version": row.definition_version,
        "status": row.status.value,
        "version": row.version,
        "created_at": when(row.created_at),
        "updated_at": when(row.updated_at),
        "ended_at": moment(row.ended_at),
        "duration_ms": row.duration_ms,
        "waits_for": row.waits_for,
        "live_steps": row.live_steps,
        "incident": incident and IncidentView(reason=incident.reason, step=incident.step, since=when(incident.since)),
        "error": _error(row.error),
        "parent": parent and ParentView(run_id=parent.run_id, incarnation=parent.incarnation, path=parent.path),
        "attributes": dict(row.attributes),
    }


def _error(row: RowError | None) -> ErrorView | None:
    return None if row is None else ErrorView(type=row.type, message=row.message)


def _entry(entry: EventEntry) -> EntryView:
    decision = entry.decision
    return EntryView(
        kind=entry.kind.value,
        step=entry.step,
        action=entry.action,
        attempt=entry.attempt,
        data=opened(entry.data),
        decision=None
        if decision is None
        else {
            "step": decision.step,
            "attempt": decision.attempt,
            "decision": decision.decision,
            "rule": decision.rule,
            "reason": decision.reason,
        },
        request_id=entry.request_id,
        reason=entry.reason,
    )
