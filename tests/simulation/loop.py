"""An event loop with a clock of its own, and processes inside it that can be stopped dead or frozen between any two steps.

Time passes only while nobody has anything to do, and then at once. What is ready runs in the order in which it became
ready, so a world that draws its lots from a seed runs the same way every time.
"""

import asyncio
import gc
import heapq
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from unittest import mock

MOST_TURNS = 3_000  # of the loop at one moment: whoever needs more is busy with nothing
EPOCH_MS = 1_750_000_000_000
_owner: "ContextVar[Process | None]" = ContextVar("owner", default=None)


class Stalled(Exception):
    """Nothing is ready and nothing waits for a time: nothing will ever happen again."""


class Process:
    """What runs, freezes and dies together. Killed, it does nothing any more: no handler of an exception, no cleaning up."""

    def __init__(self, name: str, world) -> None:
        self.name = name
        self.world = world
        self.alive = True
        self.frozen = False
        self.tasks: list[asyncio.Task] = []
        self._loop: VirtualLoop = world.loop
        self._missed: list[asyncio.Handle] = []
        self._context = copy_context()
        self._context.run(_owner.set, self)

    @property
    def running(self) -> bool:
        """Whether its turn ever comes."""
        return self.alive and not self.frozen

    def call(self, function, *arguments):
        """Call a function as this process: the tasks it begins belong to it."""
        return self._context.copy().run(function, *arguments)

    def miss(self, handle: asyncio.Handle) -> None:
        """It was the turn of this, and nobody was there."""
        self._missed.append(handle)

    def thaw(self) -> None:
        """Go on where it stood, with everything that came meanwhile."""
        self.frozen = False
        self._loop.resume(self._missed)
        self._missed = []

    async def bury(self) -> None:
        """Let the tasks of a world that is over end, so that nothing of them is left; nobody hears what they say."""
        self.alive = True
        self.thaw()
        while waiting := [task for task in self.tasks if not task.done()]:
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)


def current() -> Process | None:
    """The process whose code runs now; None: the world around them."""
    return _owner.get()


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs one world."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._turns = 0  # since time has passed
        self.restless = lambda: None  # called when time does not pass any more
        self._outside = copy_context()
        self._outside.run(_owner.set, None)
        self.set_task_factory(_task)

    def time(self) -> float:
        """Seconds since the world began."""
        return self._now

    @property
    def now_ms(self) -> int:
        """Milliseconds since the world began."""
        return int(self._now * 1000 + 1e-6)

    def later(self, delay_ms: float, callback, *arguments) -> asyncio.TimerHandle:
        """Call back after a delay, whatever becomes of the process that asks."""
        return self.call_later(delay_ms / 1000, callback, *arguments, context=self._outside)

    def resume(self, handles: list[asyncio.Handle]) -> None:
        """Put these in the row again."""
        self._ready.extend(handles)

    @contextmanager
    def world(self) -> Iterator[None]:
        """Everything inside sees this loop's time and no other; the collector waits, for its moments are not the seed's."""
        names = ("time", "monotonic", "perf_counter")
        seconds = {name: (lambda: EPOCH_MS / 1000 + self._now) for name in names}
        nanoseconds = {f"{name}_ns": (lambda: (EPOCH_MS + self.now_ms) * 1_000_000) for name in names}
        collecting = gc.isenabled()
        gc.disable()
        try:
            with mock.patch.multiple(time, **seconds, **nanoseconds):
                yield
        finally:
            if collecting:
                gc.enable()
            self.close()

    def _run_once(self) -> None:
        ready, scheduled = self._ready, self._scheduled
        self._turns += 1
        if self._turns == MOST_TURNS:
            self.restless()
        if not ready:
            self._turns = 0 if scheduled and scheduled[0]._when > self._now else self._turns
            while scheduled and scheduled[0]._cancelled:
                heapq.heappop(scheduled)._scheduled = False
            if not scheduled:
                raise Stalled
            self._now = max(self._now, scheduled[0]._when)
            while scheduled and scheduled[0]._when <= self._now:
                handle = heapq.heappop(scheduled)
                handle._scheduled = False
                ready.append(handle)
        for _ in range(len(ready)):
            handle = ready.popleft()
            if handle._cancelled:
                continue
            process = handle._context.get(_owner)
            if process is None or (process.alive and not process.frozen):
                handle._run()
            else:
                process.miss(handle)

    def _write_to_self(self) -> None:
        """There is one thread."""

    def _process_events(self, event_list) -> None:
        """There are no files."""


def _task(loop: VirtualLoop, coroutine, context=None, **options) -> asyncio.Task:
    task = asyncio.Task(coroutine, loop=loop, context=context, **options)
    process = _owner.get() if context is None else context.get(_owner)
    if process is not None:
        process.tasks.append(task)
    return task
