"""Orders to workers: the record of each action's command topic, and the word about one that runs."""

from enum import StrEnum

from pydantic import Field

from actionbus.contracts.model import Record


class CommandKind(StrEnum):
    """What a worker is to do."""

    UNKNOWN = "unknown"
    """A kind that a newer writer knows and this reader does not: answered as a failure."""
    EXECUTE = "execute"
    """Do the action."""
    COMPENSATE = "compensate"
    """Undo an earlier step with this action, or make sure that it never happens."""


class ActionCommand(Record):
    """One attempt of one step. The key of the record is the run id."""

    command_id: str = Field(description="step_key/attempt, for a compensation step_key/undo/attempt.")
    step_key: str = Field(description="run:incarnation/step: the idempotency key of all attempts of the step.")
    run_id: str = Field(description="The run.")
    workflow: str = Field(description="The workflow's name.")
    definition_version: str = Field(description="The version of the definition that the run is pinned to.")
    step: str = Field(description="The step's path inside the run.")
    action: str = Field(description="The action that executes the command.")
    attempt: int = Field(description="1 for the first attempt; a compensation counts its own attempts.")
    kind: CommandKind = Field(default=CommandKind.EXECUTE, description="What to do.")
    input: bytes = Field(description="JSON: the action's input, or a template of it.")
    template: bool = Field(
        default=False,
        description="In a compensation: the undone step is transactional, so it has an inbox row that settles whether "
        "it happened, and input is a template whose references to what the step made are filled from that row.",
    )
    original_output: bytes | None = Field(
        default=None, description="JSON, in a compensation: the step's output, if it was seen."
    )
    reply_topic: str = Field(description="Where the result goes.")
    reply_partition: int = Field(description="The partition of reply_topic the result goes to.")
    nonce: str = Field(description="To be copied into the result; proves that the command was read.")
    start_to_close_ms: int | None = Field(
        default=None, description="How long this attempt may run, milliseconds; null: as long as the action says."
    )
    deadline: int | None = Field(
        default=None, description="Epoch ms after which a worker refuses to start; null: no end."
    )
    issued_at: int = Field(description="When the attempt was scheduled, epoch milliseconds by the broker's clock.")
    heartbeat_ms: int | None = Field(
        default=None, description="How long this attempt may say nothing, milliseconds; null: as long as it likes."
    )
    heartbeat_details: bytes | None = Field(
        default=None,
        description="JSON: what the last heartbeat of the step said, for this attempt to go on there.",
    )


class ControlKind(StrEnum):
    """What is said about a running command."""

    UNKNOWN = "unknown"
    """A kind that a newer writer knows and this reader does not: ignored."""
    CANCEL = "cancel"
    """Nobody waits for the result any more: stop if you can."""


class WorkerControl(Record):
    """A word to whichever worker runs a command. The key of the record is the command id."""

    command_id: str = Field(description="The command it is about.")
    action: str = Field(description="The command's action, so that others can ignore it; empty: not known.")
    kind: ControlKind = Field(description="What to do.")
    reason: str = Field(default="", description="Why, in words.")
