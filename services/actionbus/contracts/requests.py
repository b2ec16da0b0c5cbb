"""What anybody may ask of a run: the record of the requests topic."""

from enum import StrEnum

from pydantic import Field

from actionbus.contracts.model import Record


class RequestKind(StrEnum):
    """What is asked."""

    UNKNOWN = "unknown"
    """A kind that a newer writer knows and this reader does not: rejected, never skipped."""
    START = "start"
    """Start a run of a workflow."""
    SIGNAL = "signal"
    """Hand a named value to a waiting run."""
    CANCEL = "cancel"
    """Stop the run, undo what it did."""
    TERMINATE = "terminate"
    """Stop the run at once and undo nothing."""
    PAUSE = "pause"
    """Schedule nothing new until resumed."""
    RESUME = "resume"
    """Go on after a pause or an incident."""
    RETRY_STEP = "retry_step"
    """Try a failed step again."""
    SKIP_STEP = "skip_step"
    """Go on as if the step had given this output."""
    COMPLETE_STEP = "complete_step"
    """Complete a step by hand."""
    MIGRATE = "migrate"
    """Move a live run to another version of its definition."""


class WorkflowRequest(Record):
    """Something asked of one run. The key of the record is the run id."""

    request_id: str = Field(
        description="Chosen by the caller, unique per intent: the same id asked twice has one effect."
    )
    run_id: str = Field(description="The run it is about, and the key of the record.")
    kind: RequestKind = Field(description="What is asked.")
    workflow: str | None = Field(default=None, description="start: the workflow's name.")
    version: str | None = Field(
        default=None, description="start: the definition's version; the newest deployed one when null."
    )
    payload: bytes | None = Field(default=None, description="JSON. start: the run's input.")
    reason: str | None = Field(default=None, description="Why it is asked, in words for the history.")
    requested_by: str | None = Field(default=None, description="Who asks, in words for the history.")
    requested_at: int = Field(
        default=0, description="When it was asked, epoch milliseconds by the caller's clock; information only."
    )
