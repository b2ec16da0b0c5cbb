"""Threads for plain functions. A thread cannot be stopped, so these never keep a process from ending.

The standard pool joins its threads at the end of the process, and one call that hangs would hang it for ever.
"""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any

_Call = tuple[Callable[[], Any], "asyncio.Future[Any]", asyncio.AbstractEventLoop]


class Threads:
    """Up to ``limit`` threads, begun when needed. A call whose waiter has gone goes on, and keeps its thread."""

    def __init__(self, limit: int, name: str) -> None:
        self._limit = limit
        self._name = name
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._begun = 0
        self._busy = 0

    @property
    def busy(self) -> int:
        """Calls that have not ended, whether anybody waits for them or not."""
        return self._busy

    async def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """What the function returns, called in a thread with the context variables of the caller."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[Any] = loop.create_future()
        self._busy += 1
        if self._busy > self._begun and self._begun < self._limit:
            self._begun += 1
            threading.Thread(target=self._work, name=f"{self._name}-{self._begun}", daemon=True).start()
        self._calls.put((partial(contextvars.copy_context().run, function, *args, **kwargs), waiting, loop))
        return await waiting

    def close(self) -> None:
        """Let idle threads end; those that are busy end after their call."""
        for _ in range(self._begun):
            self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            function, waiting, loop = call
            try:
                value, error = function(), None
            except BaseException as raised:  # noqa: BLE001 - SystemExit too is the caller's to judge
                value, error = None, raised
            try:
                loop.call_soon_threadsafe(self._end, waiting, value, error)
            except RuntimeError:  # the loop is closed: nobody waits any more
                return

    def _end(self, waiting: "asyncio.Future[Any]", value: Any, error: BaseException | None) -> None:
        self._busy -= 1
        if waiting.done():
            return
        if error is None:
            waiting.set_result(value)
        elif isinstance(error, StopIteration):
            waiting.set_exception(RuntimeError("the function raised StopIteration"))
        else:
            waiting.set_exception(error)
