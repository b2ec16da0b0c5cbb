"""One shard in this process: taken over, served, let go, and taken over again after every doubt."""

import asyncio
from enum import Enum
from typing import Final

import structlog

from actionbus.contracts.errors import (
    AccessRefused,
    ActionbusError,
    Doubt,
    Fenced,
    InvariantBroken,
    PositionLost,
    SettingsRefused,
)
from actionbus.orchestrator import takeover
from actionbus.orchestrator.charter import Charter
from actionbus.orchestrator.progress import Progress
from actionbus.orchestrator.quarantine import Quarantine
from actionbus.orchestrator.tenure import Tenure
from actionbus.process import crashing, metrics

FENCED_MS: Final = 2_000  # two heartbeats: a member that no longer owns the shard has heard so by then
AGAIN_MS: Final = 100
AGAIN_MOST_MS: Final = 5_000

_log = structlog.get_logger(__name__)


class Stage(Enum):
    """Where a shard stands in this process."""

    TAKING_OVER = "it is being taken over"
    SERVING = "it is served"
    WAITING = "it waits to be taken over again"
    HALTED = "it is stopped until an operator decides"
    RELEASED = "it was let go"


class Shard:
    """A shard that is ours, as far as the group says."""

    def __init__(self, charter: Charter) -> None:
        self.stage = Stage.WAITING
        self.reason = ""
        self._charter = charter
        self._quarantine = Quarantine(charter.limits.identical_doubts)
        self._tenure: Tenure | None = None
        self._stopping = asyncio.Event()
        self._doubts = 0

    @property
    def number(self) -> int:
        """The partition number."""
        return self._charter.shard

    @property
    def progress(self) -> Progress | None:
        """How far it has come; None while nobody serves it."""
        return self._tenure.progress if self._tenure is not None and self.stage is Stage.SERVING else None

    def release(self) -> None:
        """Finish what was begun and let go; ``run`` then returns."""
        self._stopping.set()
        if self._tenure is not None:
            self._tenure.release()

    async def run(self) -> None:
        """Hold the shard until it is released. Cancelling it drops the shard at once, and writes nothing more.

        A shard that cannot go on without a decision is HALTED, and stays so until it is released.
        """
        while not self._stopping.is_set():
            try:
                await self._hold()
            except (PositionLost, SettingsRefused, InvariantBroken) as error:
                await self._halt(error)
            except Exception as error:  # noqa: BLE001 - whatever it is, memory is dropped and the log is read again
                await self._wait(error)
        self.stage = Stage.RELEASED

    async def _hold(self) -> None:
        self.stage = Stage.TAKING_OVER
        began = self._charter.clock.now_ms()
        holding = await takeover.take_over(self._charter)
        tenure = self._tenure = Tenure(self._charter, holding, self._quarantine)
        try:
            await tenure.begin()
            metrics.SHARD_TAKEOVER.observe((self._charter.clock.now_ms() - began) / 1000)
            self.stage, self.reason, self._doubts = Stage.SERVING, "", 0
            if self._stopping.is_set():
                tenure.release()
            await tenure.serve()
            crashing.visit(crashing.Point.RELEASED)
        finally:
            self._tenure = None
            await tenure.close()

    async def _halt(self, error: ActionbusError) -> None:
        self.stage, self.reason = Stage.HALTED, str(error)
        _log.critical("the shard is stopped", shard=self.number, kind=type(error).__name__, error=str(error))
        await self._stopping.wait()

    async def _wait(self, error: Exception) -> None:
        """Let some time pass before the next takeover: longer each time, and after a fence at least two heartbeats."""
        self.stage, self.reason = Stage.WAITING, f"{type(error).__name__}: {error}"
        metrics.PRODUCER_REBUILDS.labels(reason=type(error).__name__).inc()
        expected = isinstance(error, ActionbusError)
        _log.warning("memory of the shard is dropped", shard=self.number, error=str(error), exc_info=not expected)
        pause = min(AGAIN_MOST_MS, AGAIN_MS * 2**self._doubts)
        if isinstance(error, Fenced):
            pause = max(pause, FENCED_MS)
        elif isinstance(error, AccessRefused) or not isinstance(error, Doubt):
            pause = max(pause, AGAIN_MS * 5)
        self._doubts = min(self._doubts + 1, 10)
        stopping = asyncio.ensure_future(self._stopping.wait())
        sleeping = asyncio.ensure_future(self._charter.clock.sleep(pause))
        await asyncio.wait({stopping, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (stopping, sleeping):
            task.cancel()
