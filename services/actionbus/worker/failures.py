"""How an exception of user code becomes an error in a result: its type, a bounded message without secrets, its advice.

What the exceptions are that users raise on purpose is described in ``sdk.errors``.
"""

import traceback
from collections.abc import Iterable
from typing import Final

import structlog
from sqlalchemy.exc import DBAPIError, StatementError

from actionbus.contracts.limits import Limits
from actionbus.contracts.results import ActionError
from actionbus.sdk import errors
from actionbus.worker import outcomes, transactions
from actionbus.worker.outcomes import ErrorType, Failed, InDoubt

HIDDEN: Final = "***"
SHORTEST_SECRET: Final = 4  # hiding shorter ones would tear ordinary words apart and hide nothing
TYPE_CHARACTERS: Final = 200
FRAMES: Final = 20  # the innermost ones, in the log
_CUT: Final = "..."

_log = structlog.get_logger(__name__)


class Failures:
    """Describes exceptions, with the limits and the secrets of one worker process."""

    def __init__(self, limits: Limits, secrets: Iterable[str] = ()) -> None:
        self._limit = limits.error_message_bytes
        self._secrets = sorted({each for each in secrets if len(each) >= SHORTEST_SECRET}, key=len, reverse=True)

    def of(self, error: BaseException) -> Failed:
        """The failure that an exception of user code means."""
        if isinstance(error, DBAPIError) and transactions.away(error):
            return self.bounded(outcomes.failed(ErrorType.STORE_UNAVAILABLE, _message(error), retryable=True))
        described = errors.describe(error)
        if not isinstance(error, errors.ActionFailed):
            # Frames only: the exception's own text may hold secrets, and is in the result without them.
            frames = "".join(traceback.format_tb(error.__traceback__, limit=-FRAMES))
            _log.warning("user code raised", exception=type(error).__name__, frames=frames)
        error.__traceback__ = None  # an instance that is raised again and again would collect frames for ever
        if isinstance(error, StatementError):
            described = described.replace(message=_message(error))
        return self.bounded(Failed(error=described))

    def bounded(self, failed: Failed) -> Failed:
        """The failure without secrets, its texts cut to the limit; details that are too long are dropped."""
        error = failed.error
        details = error.details
        if details is not None:
            details = self._hide(details.decode("utf-8", "replace")).encode()
            details = details if len(details) <= self._limit else None
        return Failed(
            error=ActionError(
                type=error.type[:TYPE_CHARACTERS] or "Error",
                message=self._cut(self._hide(error.message)),
                retryable=error.retryable,
                retry_after_ms=error.retry_after_ms,
                details=details,
            ),
            repeated=failed.repeated,
        )

    def doubt(self, error: BaseException) -> InDoubt:
        """What it means that user code says it does not know."""
        return InDoubt(error=self.of(error).error)

    def _hide(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def _cut(self, text: str) -> str:
        data = text.encode("utf-8", "replace")
        if len(data) <= self._limit:
            return data.decode()
        return data[: max(0, self._limit - len(_CUT))].decode("utf-8", "ignore") + _CUT


def _message(error: StatementError) -> str:
    # SQLAlchemy adds the statement and a link; the parameters are hidden by the engine.
    return str(error.orig) if error.orig is not None else str(error)
