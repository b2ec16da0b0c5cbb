"""An error of an action as data: what templates and events see of it, and how much of it is kept."""

from typing import Final

from actionbus.contracts import payloads
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.limits import Limits
from actionbus.contracts.payloads import Json
from actionbus.contracts.results import ActionError
from actionbus.contracts.run import TimerKind

# The error types that actionbus itself gives; everything else is the user's.
TIMEOUT: Final = "Timeout"
HEARTBEAT_TIMEOUT: Final = "HeartbeatTimeout"
CANCELLED: Final = "Cancelled"
TERMINATED: Final = "Terminated"
INPUT_REFUSED: Final = "InputRefused"
OUTPUT_REFUSED: Final = "OutputRefused"
CONDITION_REFUSED: Final = "ConditionRefused"
TOO_MANY_TURNS: Final = "TooManyTurns"
RESULT_TOO_LARGE: Final = "ResultTooLarge"
EMIT_REFUSED: Final = "EmitRefused"
DEADLINE_PASSED: Final = "DeadlinePassed"
CHILD_REFUSED: Final = "ChildRefused"
STATE_TOO_LARGE: Final = "StateTooLarge"
UNREADABLE: Final = "Unreadable"
OUTCOME_UNKNOWN: Final = "OutcomeUnknown"
STORE_UNAVAILABLE: Final = "StoreUnavailable"
_NEVER_BEGAN: Final = frozenset({DEADLINE_PASSED, STORE_UNAVAILABLE})
_CUT: Final = " [cut]"


def refused(kind: str, message: str) -> ActionError:
    """An error that no further attempt can help."""
    return ActionError(type=kind, message=message, retryable=False)


def never_began(error: ActionError) -> bool:
    """Whether an attempt of an action that runs at most once ended before its code: the worker says so itself."""
    return error.retryable and error.type in _NEVER_BEGAN


def timed_out(kind: TimerKind, attempt: int) -> ActionError:
    """The error of an attempt whose timer was due; another attempt may help."""
    match kind:
        case TimerKind.HEARTBEAT:
            return ActionError(type=HEARTBEAT_TIMEOUT, message=f"nothing was heard of attempt {attempt} for too long")
        case TimerKind.SCHEDULE_TO_CLOSE:
            message = "all attempts together took longer than allowed"
        case TimerKind.SCHEDULE_TO_START:
            message = f"no worker began attempt {attempt} in time"
        case _:
            message = f"attempt {attempt} took longer than allowed"
    return ActionError(type=TIMEOUT, message=message)


def as_json(error: ActionError) -> Json:
    """The error as a template and a reader of events see it."""
    value: dict[str, Json] = {"type": error.type, "message": error.message, "retryable": error.retryable}
    if error.retry_after_ms is not None:
        value["retry_after_ms"] = error.retry_after_ms
    if error.details is not None:
        try:
            value["details"] = payloads.decode(error.details)
        except PayloadRefused:  # information only: a worker that breaks it must not hide the error itself
            value["details"] = error.details.decode(errors="replace")
    return value


def as_bytes(error: ActionError) -> bytes:
    """The same as canonical JSON."""
    return payloads.encode(as_json(error))


def bounded(error: ActionError, limits: Limits) -> ActionError:
    """The error with its words cut, and its details left out, where they are longer than the limits allow."""
    limit = limits.error_message_bytes
    kind, message = cut(error.type, limit), cut(error.message, limit)
    details = error.details if error.details is None or len(error.details) <= limit else None
    if (kind, message, details) == (error.type, error.message, error.details):
        return error
    return error.replace(type=kind, message=message, details=details)


def cut(text: str, limit: int) -> str:
    """The text, cut where it has more bytes of UTF-8 than the limit."""
    if len(text) * 4 <= limit:  # no character has more than four
        return text
    data = text.encode(errors="replace")
    return text if len(data) <= limit else data[: max(0, limit - len(_CUT))].decode(errors="ignore") + _CUT
