"""A clock that stands still until something waits for it."""

from datetime import UTC, datetime
from typing import Final

from actionbus.contracts.errors import Refused
from actionbus.sdk import duration
from actionbus.sdk.duration import Duration

_BEGINNING: Final = datetime(2026, 1, 1, tzinfo=UTC)


class FakeClock:
    """The time of a test. Waiting for a retry or a timeout moves it; nobody sleeps."""

    def __init__(self, start: datetime = _BEGINNING) -> None:
        self._start_ms = round(start.timestamp() * 1_000)
        self._now_ms = self._start_ms

    @property
    def now_ms(self) -> int:
        """Epoch milliseconds."""
        return self._now_ms

    @property
    def elapsed_ms(self) -> int:
        """Milliseconds since the clock was made."""
        return self._now_ms - self._start_ms

    def advance(self, by: Duration) -> None:
        """Let time pass."""
        self.advance_to(self._now_ms + duration.milliseconds(by, what="the time to pass"))

    def advance_to(self, epoch_ms: int) -> None:
        """Let time pass until then; raise Refused when that is in the past."""
        if epoch_ms < self._now_ms:
            raise Refused(f"time does not go back: it is {self._now_ms} ms, {epoch_ms} ms was asked for")
        self._now_ms = epoch_ms
