"""What became of one attempt before it is a record: done, failed, left to others, or unknown. How is no matter here."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from actionbus.contracts import payloads
from actionbus.contracts.results import ActionError, Emit


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """User code returned. ``output`` is JSON; ``repeated`` says that it was read back instead of done again."""

    output: bytes
    emits: tuple[Emit, ...] = ()
    repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The attempt failed. ``repeated`` says that the verdict was read back."""

    error: ActionError
    repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred:
    """User code left the answer to whoever holds the token. ``repeated`` says that this was read back."""

    emits: tuple[Emit, ...] = ()
    repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InDoubt:
    """Nobody knows whether the attempt had its effect. ``repeated`` says that this was read back."""

    error: ActionError
    repeated: bool = False


Outcome = Done | Failed | Deferred | InDoubt

UNDONE: Final = payloads.encode({"outcome": "undone"})
NEVER_HAPPENED: Final = payloads.encode({"outcome": "never_happened"})


class ErrorType(StrEnum):
    """The error types that actionbus sets itself. All others are names of exceptions of user code."""

    CANCELLED = "Cancelled"
    """The step was compensated before this attempt came: it may not happen any more."""
    COMMIT_UNKNOWN = "CommitUnknown"
    """The database did not say whether it committed, and could not be asked again in time."""
    DEADLY = "Deadly"
    """Every worker that began the command was killed before it ended; the command is in the dead letters."""
    DEADLINE_PASSED = "DeadlinePassed"
    """The command came too late to be started."""
    EMIT_REFUSED = "EmitRefused"
    """A record was emitted to a topic that the action does not declare, or that is none."""
    INPUT_REFUSED = "InputRefused"
    """The input does not fit the action's parameters, or is another one than the same step had before."""
    OUTCOME_UNKNOWN = "OutcomeUnknown"
    """Nobody knows whether the attempt had its effect, and it may not be tried again to find out."""
    OUTPUT_REFUSED = "OutputRefused"
    """What the action returned does not fit its return type, or JSON."""
    PROCESS_DIED = "ProcessDied"
    """The process in which a CPU-bound action computed ended before its answer."""
    RESULT_TOO_LARGE = "ResultTooLarge"
    """Output and emits are larger than a record may be."""
    STORE_UNAVAILABLE = "StoreUnavailable"
    """The database of a transactional action did not answer."""
    TIMEOUT = "Timeout"
    """The attempt ran longer than start_to_close."""
    UNKNOWN_KIND = "UnknownKind"
    """A newer orchestrator asks for something this worker does not know."""
    UNREADABLE = "Unreadable"
    """The command could not be read."""


def failed(kind: ErrorType, message: str, *, retryable: bool = False) -> Failed:
    """A failure of ours."""
    return Failed(error=ActionError(type=kind, message=message, retryable=retryable))


def in_doubt(message: str) -> InDoubt:
    """A doubt of ours."""
    return InDoubt(error=ActionError(type=ErrorType.OUTCOME_UNKNOWN, message=message, retryable=False))
