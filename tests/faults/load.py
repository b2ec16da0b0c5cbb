"""Transfers without a pause: so many are under way at any time, and what became of each is written down."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Self

from actionbus.client.interface import Runs, StartedRun
from actionbus.contracts.errors import ActionbusError, Refused, RunFailed, RunMissing
from actionbus.kafka.partitioning import partition_for

PROBE_SECONDS = 600.0  # far above what is normal: slowness is not a fault, a hang is
QUIET_SECONDS = 300.0  # without any run ending, after the last fault is healed: the rest never will
AGAIN_SECONDS = 0.5


class Load:
    """While it is entered, ``in_flight`` transfers are under way; leaving it by an error abandons them."""

    def __init__(self, client: Runs, shards: int, in_flight: int = 4) -> None:
        self.outcomes: dict[str, tuple[int, str]] = {}
        self.begun: dict[str, int] = {}
        self._client = client
        self._shards = shards
        self._in_flight = in_flight
        self._numbers = count()
        self._ending = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: list[BaseException] = []

    async def __aenter__(self) -> Self:
        for _ in range(self._in_flight):
            self._begin(self._pump())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def probe(self) -> float:
        """Start one transfer on each shard and wait until they have ended: seconds until all shards work."""
        began = time.monotonic()
        missing = set(range(self._shards))
        tasks: list[asyncio.Task[None]] = []
        while missing:
            number = next(self._numbers)
            shard = partition_for(_run_id(number).encode(), self._shards)
            if shard in missing:
                missing.discard(shard)
                tasks.append(self._begin(self._transfer(number)))
        async with asyncio.timeout(PROBE_SECONDS):
            await asyncio.gather(*tasks)
        return time.monotonic() - began

    def begin(self, fits: Callable[[int], bool]) -> None:
        """Start one more transfer, the next one whose number fits."""
        self._begin(self._transfer(next(filter(fits, self._numbers))))

    async def ended(self, more: int) -> None:
        """Return once so many further transfers have ended."""
        wanted = len(self.outcomes) + more
        async with asyncio.timeout(PROBE_SECONDS):
            while len(self.outcomes) < wanted:  # noqa: ASYNC110 - a count has no event
                await asyncio.sleep(0.02)

    def stop(self) -> None:
        """Begin nothing more by itself; what is under way goes on."""
        self._ending = True

    async def finish(self) -> None:
        """Begin nothing more and wait for what is under way, as long as anything moves; raises what broke the load."""
        self.stop()
        while self._tasks:
            done, _ = await asyncio.wait(self._tasks, timeout=QUIET_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                break
            await asyncio.sleep(0)  # one that is done leaves the set a moment later
        if self._broken:
            raise self._broken[0]

    def _begin(self, what) -> asyncio.Task[None]:
        task = asyncio.create_task(what)
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return task

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broken.append(error)

    async def _pump(self) -> None:
        while not self._ending:
            await self._transfer(next(self._numbers))

    def adopt(self) -> tuple[int, str]:
        """The number and the run id of a transfer that the caller starts in a way of its own; its end is waited for."""
        number = next(self._numbers)
        run_id = _run_id(number)

        async def find() -> StartedRun:
            return self._client.handle(run_id)

        self._begin(self._carry(number, find))
        return number, run_id

    async def _transfer(self, number: int) -> None:
        async def start() -> StartedRun:
            # The same request again is the same start, so whoever is not sure asks again.
            return await self._client.start(
                "transfer", {"number": number}, run_id=_run_id(number), request_id=f"start-{number}", wait=False
            )

        await self._carry(number, start)

    async def _carry(self, number: int, ask: Callable[[], Awaitable[StartedRun]]) -> None:
        run_id = _run_id(number)
        self.begun[run_id] = number
        while True:
            try:
                await (await ask()).result(PROBE_SECONDS)
            except RunFailed as failed:
                self.outcomes[run_id] = (number, failed.status)
                return
            except RunMissing:
                await asyncio.sleep(AGAIN_SECONDS)  # whoever starts it has not done so, or it is on its way
            except Refused:
                raise
            except ActionbusError:
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                self.outcomes[run_id] = (number, "COMPLETED")
                return


def _run_id(number: int) -> str:
    return f"transfer-{number}"
