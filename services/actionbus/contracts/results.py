"""Answers of workers: the record of the results topic."""

from enum import StrEnum

from pydantic import Field

from actionbus.contracts.model import Record


class ResultKind(StrEnum):
    """How far a command came."""

    UNKNOWN = "unknown"
    """A kind that a newer writer knows and this reader does not: to dead letters."""
    STARTED = "started"
    """User code has begun."""
    HEARTBEAT = "heartbeat"
    """The work goes on; details say how far it is."""
    SUCCEEDED = "succeeded"
    """Done; the output is final."""
    FAILED = "failed"
    """This attempt failed."""
    DEFERRED = "deferred"
    """User code has left the answer to whoever holds the attempt's token."""
    IN_DOUBT = "in_doubt"
    """Nobody knows whether this attempt had its effect; the error says why."""


class Emit(Record):
    """A record that an action asks to be published when its result is accepted."""

    topic: str = Field(description="The topic, as the action declared it.")
    key: bytes | None = Field(default=None, description="The record's key.")
    value: bytes | None = Field(
        default=None, description="The record's value; null is a tombstone on a compacted topic."
    )
    headers: dict[str, bytes] = Field(default_factory=dict, description="The record's headers.")


class ActionError(Record):
    """Why an attempt failed, as data."""

    type: str = Field(description="A short stable name that rules match on, such as MailboxFull.")
    message: str = Field(default="", description="A sentence for people; bounded and redacted by the worker.")
    retryable: bool = Field(default=True, description="Whether another attempt may help.")
    retry_after_ms: int | None = Field(default=None, description="Replaces the policy's delay before the next attempt.")
    details: bytes | None = Field(default=None, description="JSON: whatever the action adds for rules and people.")


class ActionResult(Record):
    """What became of one command. The key of the record is the run id."""

    command_id: str = Field(description="Copied from the command.")
    step_key: str = Field(description="Copied from the command.")
    run_id: str = Field(description="Copied from the command, and the key of the record.")
    kind: ResultKind = Field(description="How far the command came.")
    nonce: str = Field(description="Copied from the command.")
    worker: str = Field(default="", description="Which worker answers; information only.")
    output: bytes | None = Field(default=None, description="JSON, when it succeeded.")
    emits: tuple[Emit, ...] = Field(default=(), description="Records to publish if this result is accepted.")
    error: ActionError | None = Field(default=None, description="Why, when it failed or is in doubt.")
    details: bytes | None = Field(default=None, description="JSON, in a heartbeat: how far the work is, if it says so.")
    by_token: bool = Field(
        default=False,
        description="The holder of the attempt's token answers: no inbox of a worker knows the output.",
    )
    started_at: int = Field(default=0, description="When user code began, epoch milliseconds by the worker's clock.")
    finished_at: int = Field(default=0, description="When user code ended, epoch milliseconds by the worker's clock.")
