"""What questions are answered with. Times are epoch milliseconds; how they are shown is the asker's business."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from actionbus.contracts.run import RunStatus, StepStatus

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Some of many, and where the next ones begin; None: there are no more."""

    items: tuple[T, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowError:
    """Why something ended without success."""

    type: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowIncident:
    """Why a run waits for an operator."""

    reason: str
    step: str | None
    since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RowParent:
    """The node of another run that started a run."""

    run_id: str
    incarnation: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One run. ``complete``: whether all of its events were seen, so that its steps are all there."""

    run_id: str
    incarnation: str
    workflow: str
    definition_version: str
    status: RunStatus
    version: int
    complete: bool
    created_at: int
    updated_at: int
    ended_at: int | None
    error: RowError | None
    incident: RowIncident | None
    parent: RowParent | None
    waits_for: str | None
    live_steps: int
    attributes: Mapping[str, str]

    @property
    def duration_ms(self) -> int | None:
        """From start to end; None while it has not ended."""
        return None if self.ended_at is None else self.ended_at - self.created_at


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """One step of a run, or a node that waits for something (``action`` is None)."""

    path: str
    action: str | None
    status: StepStatus
    attempt: int
    first_scheduled_at: int | None
    scheduled_at: int | None
    ended_at: int | None
    error: RowError | None
    waits_for: str | None
    stuck: str | None
    stuck_since: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDetail:
    """One run with its steps, in the order in which they began."""

    run: RunRow
    steps: tuple[StepRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCounts:
    """How many runs there are, in all and by status."""

    count: int
    by_status: Mapping[RunStatus, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvent:
    """One event of a run: ``record`` is the WorkflowEvent as the topic held it."""

    version: int
    at: int
    record: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """Events of one run, oldest first; ``next_after`` is asked for next, None: there are no more."""

    run_id: str
    incarnation: str
    items: tuple[StoredEvent, ...]
    next_after: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """A person is asked for something."""

    run_id: str
    incarnation: str
    path: str
    workflow: str
    form: str
    title: str | None
    assignee: str | None
    opened_at: int
    due_at: int | None
    overdue: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRow:
    """What happened to the runs of a workflow, or to the attempts of an action, within a stretch of time.

    The latencies are of runs that completed, or of steps that succeeded (from their first attempt), in milliseconds.
    """

    start: int
    end: int
    started: int
    completed: int
    failed: int
    cancelled: int
    terminated: int
    timed_out: int
    retries: int
    compensated: int
    incidents: int
    mean_ms: float | None
    p50_ms: float | None
    p95_ms: float | None

    @property
    def failure_share(self) -> float | None:
        """Of all that ended, the part that failed or took too long; None when nothing ended."""
        ended = self.completed + self.failed + self.cancelled + self.terminated + self.timed_out
        return (self.failed + self.timed_out) / ended if ended else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRuns:
    """How many runs of one version of a workflow have not ended."""

    workflow: str
    definition_version: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenTo:
    """How far the tables follow a partition of the events topic."""

    partition: int
    position: int
    at: int
