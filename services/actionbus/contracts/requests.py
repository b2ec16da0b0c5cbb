"""What anybody may ask of a run: the record of the requests topic."""

from enum import StrEnum

from pydantic import Field

from actionbus.contracts.model import Record
from actionbus.contracts.results import ActionError
from actionbus.contracts.run import Parent, RunStatus


class RequestKind(StrEnum):
    """What is asked."""

    UNKNOWN = "unknown"
    """A kind that a newer writer knows and this reader does not: rejected, never skipped."""
    START = "start"
    """Start a run of a workflow."""
    SIGNAL = "signal"
    """Hand a named value to a run, which may not wait for it yet."""
    ASSIGN_TASK = "assign_task"
    """Let somebody else do what a person was asked for."""
    CANCEL = "cancel"
    """Stop the run, undo what it did."""
    TERMINATE = "terminate"
    """Stop the run at once and undo nothing."""
    PAUSE = "pause"
    """Schedule nothing new until resumed."""
    RESUME = "resume"
    """Go on after a pause, and try again what waits for an operator."""
    RETRY_STEP = "retry_step"
    """Try a step again that waits for an operator or for its next attempt."""
    REWIND = "rewind"
    """Undo what ran from a node on, and run it from there again."""
    SKIP_STEP = "skip_step"
    """Go on as if the step had given this output."""
    COMPLETE_STEP = "complete_step"
    """Complete a step by hand."""
    CHANGE_TIMER = "change_timer"
    """Let what waits for a time wait for another one."""
    MIGRATE = "migrate"
    """Move a live run to another version of its definition."""
    CHILD_REPORT = "child_report"
    """A run tells the one that started it how it stands. Only orchestrators write it."""


class IfExists(StrEnum):
    """What a start means where there is a run of that id."""

    UNKNOWN = "unknown"
    """A word that a newer writer knows and this reader does not: as reject."""
    REJECT = "reject"
    """The start is refused."""
    RETURN = "return"
    """The start is accepted and means the run that is there, live or ended."""
    REPLACE = "replace"
    """A run that has ended makes room for a new one; a live one is not touched, and the start is refused."""
    DEBOUNCE = "debounce"
    """As replace; but a run that has not begun yet takes the input and the beginning of this start."""


class ChildReport(Record):
    """How a run stands, for the one that started it."""

    run_id: str = Field(description="The run.")
    incarnation: str = Field(description="Its incarnation; empty: it never began, or is forgotten.")
    status: RunStatus = Field(description="Where it stands; UNKNOWN: what was asked of it was refused.")
    output: bytes | None = Field(default=None, description="JSON: what it gave, when it completed.")
    error: ActionError | None = Field(default=None, description="Why it did not.")


class WorkflowRequest(Record):
    """Something asked of one run. The key of the record is the run id."""

    request_id: str = Field(
        description="Chosen by the caller, unique per intent: the same id asked twice has one effect."
    )
    run_id: str = Field(description="The run it is about, and the key of the record.")
    kind: RequestKind = Field(description="What is asked.")
    workflow: str | None = Field(default=None, description="start, signal with start: the workflow's name.")
    version: str | None = Field(
        default=None,
        description="start, migrate: the definition's version; the newest deployed one when null.",
    )
    if_exists: IfExists = Field(
        default=IfExists.REJECT, description="start: what it means where there is a run of that id."
    )
    payload: bytes | None = Field(
        default=None,
        description="JSON. start: the run's input; signal: what it says; skip_step, complete_step: the step's output; "
        "assign_task: who, a text; null: anybody; "
        "rewind: an object with the input of the run and, in outputs, what nodes gave, by their paths: what is read "
        "again and the run has not kept; null: nothing; "
        "migrate: an object that gives nodes of the old version their ids in the new one.",
    )
    signal: str | None = Field(default=None, description="signal: its name; null: that of the node at step.")
    start_input: bytes | None = Field(
        default=None, description="JSON. signal with a workflow: the input of the run that is started if there is none."
    )
    step: str | None = Field(
        default=None,
        description="retry_step, rewind, skip_step, complete_step, change_timer, assign_task: the path of the step or "
        "node, or its id where only one of that id is live; empty: root. "
        "signal: the one node that it is for; null: the one that has waited longest.",
    )
    due_at: int | None = Field(
        default=None,
        description="Epoch milliseconds by the broker's clock. start: when the run begins, null: at once; "
        "change_timer: until when it waits now.",
    )
    parent: Parent | None = Field(
        default=None, description="When a run asks: its node, which hears what became of it. child_report: the same."
    )
    child: ChildReport | None = Field(default=None, description="child_report: how the run stands.")
    priority: int = Field(
        default=0, description="start: who goes first where a limit lets not all go, -100 to 100, higher first."
    )
    reason: str | None = Field(default=None, description="Why it is asked, in words for the history.")
    requested_by: str | None = Field(default=None, description="Who asks, in words for the history.")
    requested_at: int = Field(
        default=0, description="When it was asked, epoch milliseconds by the caller's clock; information only."
    )
