"""The broker of a world: the one of `actionbus.testing`, with a clock that jumps, and a judge who sees every record."""

import asyncio
from collections import defaultdict

from actionbus.testing.memory_broker import Ending, MemoryBroker
from simulation.loop import EPOCH_MS


class Broker(MemoryBroker):
    """Tells whoever watches a place that something has changed there, and the judge what has been written."""

    def __init__(self, world) -> None:
        self.skew_ms = 0
        self._world = world
        self._watching: defaultdict[tuple[str, int], list[asyncio.Event]] = defaultdict(list)
        self._written: defaultdict[int, list] = defaultdict(list)
        super().__init__(verifies=world.plan.verifies)

    @property
    def time_ms(self) -> int:
        """The broker's own clock."""
        return EPOCH_MS + self.skew_ms + self._world.loop.now_ms

    @time_ms.setter
    def time_ms(self, _) -> None:
        """It goes by itself."""

    def watch(self, place, stirred: asyncio.Event) -> None:
        """Set an event whenever something changes at a place."""
        self._watching[place].append(stirred)

    def _append(self, place, records, transaction):
        first = super()._append(place, records, transaction)
        if transaction is None:
            with self._world.judging():
                self._world.judge.appended(place, first, records)
        else:
            self._written[id(transaction)].append((place, first, records))
        for stirred in self._watching[place]:
            stirred.set()
        return first

    def _end(self, holder, ending) -> None:
        transaction = holder.open
        super()._end(holder, ending)
        written = self._written.pop(id(transaction), [])
        if ending is Ending.COMMITTED and written:
            with self._world.judging():
                self._world.judge.committed(written)

    def _mark(self, holder, transaction, ending) -> None:
        super()._mark(holder, transaction, ending)
        for place in transaction.places:
            for stirred in self._watching[place]:
                stirred.set()

    def write_markers(self) -> None:
        """Markers that were late are there."""
        super().write_markers()
        for watching in self._watching.values():
            for stirred in watching:
                stirred.set()

    def _moved(self) -> None:
        """Nobody waits for just anything."""
        self.activity += 1
