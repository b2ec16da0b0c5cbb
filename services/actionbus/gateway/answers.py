"""What the API answers with, as its document describes it. How rows and records become this is in `views`."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class View(BaseModel):
    """Part of an answer. Times are ISO 8601 in UTC."""

    model_config = ConfigDict(frozen=True)


class ErrorView(View):
    """Why something ended without success."""

    type: str
    message: str


class IncidentView(View):
    """Why a run waits for an operator."""

    reason: str
    step: str | None
    since: datetime


class ParentView(View):
    """The node of another run that started a run."""

    run_id: str
    incarnation: str
    path: str


class RunView(View):
    """A run as the visibility database knows it: some moments behind the topics."""

    run_id: str
    incarnation: str
    workflow: str
    definition_version: str
    status: str
    version: int = Field(description="Counts the transitions of the run.")
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    duration_ms: int | None = None
    waits_for: str | None = None
    live_steps: int
    incident: IncidentView | None = None
    error: ErrorView | None = None
    parent: ParentView | None = None
    attributes: dict[str, str]


class StepView(View):
    """A step of a run, or a node that waits for something."""

    path: str
    action: str | None
    status: str
    attempt: int
    scheduled_at: datetime | None = None
    ended_at: datetime | None = None
    error: ErrorView | None = None
    waits_for: str | None = None
    stuck: str | None = None


class RunDetailView(RunView):
    """A run with its steps, in the order in which they began."""

    steps: list[StepView]


class RunPage(View):
    """Some runs, and where the next ones begin."""

    items: list[RunView]
    next_cursor: str | None = None


class CountView(View):
    """How many runs there are."""

    count: int
    by_status: dict[str, int]


class EntryView(View):
    """One thing that happened within a transition."""

    kind: str
    step: str | None = None
    action: str | None = None
    attempt: int | None = None
    data: Any = None
    decision: dict[str, Any] | None = None
    request_id: str | None = None
    reason: str | None = None


class EventView(View):
    """One transition of a run."""

    run_id: str
    incarnation: str
    workflow: str
    definition_version: str
    version: int
    status: str
    at: datetime
    entries: list[EntryView]


class HistoryView(View):
    """Some of what happened to a run, oldest first."""

    items: list[EventView]
    next_after: int | None = None


class TaskView(View):
    """Something that a person is asked for."""

    run_id: str
    path: str
    workflow: str
    form: str
    title: str | None
    assignee: str | None
    opened_at: datetime
    due_at: datetime | None
    overdue: bool


class TaskPage(View):
    """Some tasks, and where the next ones begin."""

    items: list[TaskView]
    next_cursor: str | None = None


class WindowView(View):
    """What happened within a stretch of time."""

    start: datetime
    end: datetime
    started: int
    completed: int
    failed: int
    cancelled: int
    terminated: int
    timed_out: int
    retries: int
    compensated: int
    incidents: int
    failure_share: float | None
    mean_ms: float | None
    p50_ms: float | None
    p95_ms: float | None


class Asked(View):
    """A request that was carried out, or that is in the log and will be (status 202)."""

    request_id: str
    run_id: str


class Answered(Asked):
    """An update, and its answer."""

    answer: Any = None


class ResultView(View):
    """How a run ended, or that it did not yet (status 202)."""

    status: str
    output: Any = None
    error: Any = None
