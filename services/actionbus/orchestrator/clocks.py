"""Time as a shard sees it: the broker's, carried on between records by this machine's steady clock."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Alarm(Protocol):
    """Something that will happen, and may be called off."""

    def cancel(self) -> None:
        """Call it off."""
        ...


class Clock(Protocol):
    """A clock that never goes back. What it shows has no meaning but its differences."""

    def now_ms(self) -> int:
        """Milliseconds since some fixed moment."""
        ...

    def call_in(self, delay_ms: float, callback: Callable[[], None]) -> Alarm:
        """Call back after a delay."""
        ...

    async def sleep(self, delay_ms: float) -> None:
        """Return after a delay."""
        ...


class SteadyClock:
    """This machine's steady clock and the running event loop."""

    def now_ms(self) -> int:
        """Milliseconds of the steady clock."""
        return time.monotonic_ns() // 1_000_000

    def call_in(self, delay_ms: float, callback: Callable[[], None]) -> Alarm:
        """Call back from the running loop."""
        return asyncio.get_running_loop().call_later(delay_ms / 1000, callback)

    async def sleep(self, delay_ms: float) -> None:
        """Sleep in the running loop."""
        await asyncio.sleep(delay_ms / 1000)


class BrokerTime:
    """The broker's time of one shard, epoch milliseconds. It never goes back, not even over a takeover.

    It is the latest time seen on a record, plus what the steady clock has counted since. A wall clock that jumps, here
    or at a broker, may delay a timer; it cannot fire one twice or pass one over.
    """

    def __init__(self, clock: Clock, latest: int) -> None:
        self._clock = clock
        self._seen = latest
        self._seen_at = clock.now_ms()
        self.latest = latest

    def see(self, timestamp_ms: int) -> int:
        """Take note of a record's time; the shard's time, which is that one or a later one."""
        if timestamp_ms > self._seen:
            self._seen = timestamp_ms
            self._seen_at = self._clock.now_ms()
            self.latest = max(self.latest, timestamp_ms)
        return self.latest

    def read(self) -> int:
        """The time now."""
        self.latest = max(self.latest, self._seen + self._clock.now_ms() - self._seen_at)
        return self.latest
