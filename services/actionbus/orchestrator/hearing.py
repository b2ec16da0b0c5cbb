"""Whether silence is silence: what workers say may still wait in the log, after a takeover or behind a crowd."""

from typing import Final

from actionbus.orchestrator.clocks import Clock

LISTEN_MS: Final = 2_000  # longer than a fetch takes to bring what is there


class Hearing:
    """Knows whether a shard has been at the end of its log for long enough to have heard everybody."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: int | None = None

    def read(self, left: int) -> None:
        """All was folded that had arrived but for ``left`` records."""
        if left:
            self._since = None
        elif self._since is None:
            self._since = self._clock.now_ms()

    @property
    def complete(self) -> bool:
        """Whether somebody who was not heard did not speak."""
        return self._since is not None and self._clock.now_ms() - self._since >= LISTEN_MS
