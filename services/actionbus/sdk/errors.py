"""What an action raises to say how it failed. Any other exception is a failed attempt of a type named like its class.

These are words of user code, not mistakes of actionbus, so they stand outside the tree of ``contracts.errors``.
"""

from datetime import timedelta
from typing import Any

from actionbus.contracts import payloads
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.results import ActionError
from actionbus.sdk import duration


class ActionFailed(Exception):
    """An attempt failed, for a reason that has a name: ``type`` is what the rules of a workflow match on."""

    def __init__(self, type: str, message: str = "", retryable: bool = True, details: Any = None) -> None:  # noqa: A002, FBT001, FBT002 - the words of the record
        super().__init__(message or type)
        self.type = type
        self.message = message
        self.retryable = retryable
        self.details = details
        self.retry_after_ms: int | None = None


class NonRetryable(ActionFailed):
    """Another attempt cannot help. Without ``type`` the name of the class is the type, so it can be subclassed."""

    def __init__(self, message: str = "", *, type: str | None = None, details: Any = None) -> None:  # noqa: A002 - the word of the record
        super().__init__(type or self.__class__.__name__, message, retryable=False, details=details)


class RetryAfter(ActionFailed):
    """Try again, but not before this time: seconds, a timedelta or text such as ``"30s"``."""

    def __init__(
        self,
        seconds: float | str | timedelta,
        message: str = "",
        *,
        type: str | None = None,  # noqa: A002 - the word of the record
        details: Any = None,
    ) -> None:
        super().__init__(type or self.__class__.__name__, message, retryable=True, details=details)
        self.retry_after_ms = duration.milliseconds(seconds, what="RetryAfter")


class OutcomeUnknown(NonRetryable):
    """Nobody knows whether the attempt had its effect, and trying again could have it a second time.

    The step becomes ``UNKNOWN`` and waits for an operator, unless a rule names the type ``OutcomeUnknown``. In a
    transactional action it is a failure like any other: what was written is rolled back.
    """

    def __init__(self, message: str = "", *, details: Any = None) -> None:
        super().__init__(message, type="OutcomeUnknown", details=details)


class AnswerLater(BaseException):
    """Somebody else answers for the attempt: what ``ctx.answer_later()`` raises.

    It is no failure, so no ``except Exception`` of user code gets it.
    """


def describe(error: BaseException) -> ActionError:
    """The record of a failed attempt. Bounding and redacting its message is left to the caller."""
    if not isinstance(error, ActionFailed):
        return ActionError(type=type(error).__name__, message=str(error))
    return ActionError(
        type=error.type,
        message=error.message,
        retryable=error.retryable,
        retry_after_ms=error.retry_after_ms,
        details=_details(error.details),
    )


def _details(details: Any) -> bytes | None:
    if details is None:
        return None
    try:
        return payloads.encode(details)
    except PayloadRefused:
        return payloads.encode(repr(details))
