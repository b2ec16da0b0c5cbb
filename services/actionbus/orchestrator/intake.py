"""Requests and results that have arrived and wait to be folded."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing

from actionbus.contracts.records import InRecord

WAITING_FOLDS = 2  # no more than so many folds' worth of inputs wait in memory; the rest waits in the log


class Intake:
    """Follows the log in a task of its own; whoever folds takes from the front."""

    def __init__(
        self,
        source: AsyncGenerator[list[InRecord]],
        wake: Callable[[], None],
        *,
        fold_inputs: int,
        fold_bytes: int,
    ) -> None:
        self._source = source
        self._wake = wake
        self._most = WAITING_FOLDS * fold_inputs
        self._most_bytes = WAITING_FOLDS * fold_bytes
        self._waiting: deque[InRecord] = deque()
        self._bytes = 0
        self._room = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._follow())

    def __len__(self) -> int:
        return len(self._waiting)

    def check(self) -> None:
        """Raise what ended the following, if something did."""
        if self._task.done() and not self._task.cancelled():
            self._task.result()

    def first(self) -> InRecord | None:
        """The record that comes next; it stays."""
        return self._waiting[0] if self._waiting else None

    def drop(self) -> None:
        """The first record is folded."""
        self._bytes -= len(self._waiting.popleft().value or b"")
        if not self._room.is_set() and len(self._waiting) < self._most and self._bytes < self._most_bytes:
            self._room.set()

    def give_back(self, records: Iterable[InRecord]) -> None:
        """Records that were dropped and are to come again, before all others."""
        for record in reversed(list(records)):
            self._waiting.appendleft(record)
            self._bytes += len(record.value or b"")

    async def close(self) -> None:
        """Stop following."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self) -> None:
        try:
            async with aclosing(self._source) as source:
                async for records in source:
                    self._waiting.extend(records)
                    self._bytes += sum(len(record.value or b"") for record in records)
                    self._wake()
                    if len(self._waiting) >= self._most or self._bytes >= self._most_bytes:
                        self._room.clear()
                        await self._room.wait()
        finally:
            self._wake()
