"""A clock that a test moves by hand: nothing that waits for time goes on before it is told to."""

import asyncio
import heapq
import itertools
from collections.abc import Callable


class Waiting:
    """A callback that will be called, unless it is called off."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Call it off."""
        self.callback = None


class HandClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self._now_ms = 0
        self._order = itertools.count()
        self._waiting: list[tuple[float, int, Waiting]] = []

    def now_ms(self) -> int:
        """Milliseconds since the clock was made."""
        return self._now_ms

    def call_in(self, delay_ms: float, callback: Callable[[], None]) -> Waiting:
        """Call back once the clock was moved that far."""
        waiting = Waiting(callback)
        heapq.heappush(self._waiting, (self._now_ms + delay_ms, next(self._order), waiting))
        return waiting

    async def sleep(self, delay_ms: float) -> None:
        """Return once the clock was moved that far."""
        over = asyncio.Event()
        self.call_in(delay_ms, over.set)
        await over.wait()

    def move(self, by_ms: int) -> None:
        """Let time pass."""
        self._now_ms += by_ms
        while self._waiting and self._waiting[0][0] <= self._now_ms:
            _, _, waiting = heapq.heappop(self._waiting)
            if waiting.callback is not None:
                waiting.callback()
