"""Asks for a run at every tick, and judges each by its result and by the ledger.

A run that was asked for is judged once: it completed and had its effect once, or it is lost, or its effect is doubled.
One that does not end in time is overdue for as long as it takes, and is judged when it ends. The ledger outlives the
canary, so that runs of before are judged as well.
"""

import asyncio
import time
import uuid
from typing import Final

import structlog

from actionbus.canary.beat import WORKFLOW
from actionbus.canary.ledger import Ledger
from actionbus.client import Runs, StartedRun
from actionbus.contracts.errors import ActionbusError, RunFailed, RunMissing
from actionbus.process import metrics

MOST_OPEN: Final = 1_000  # runs at a time: with more of them no further one is asked for
AGAIN_SECONDS: Final = 1.0  # after an answer that did not come

_log = structlog.get_logger(__name__)


class Metronome:
    """``every``: seconds from one tick to the next; ``due``: seconds after which a run is overdue."""

    def __init__(self, client: Runs, ledger: Ledger, *, every: float, due: float) -> None:
        self._client = client
        self._ledger = ledger
        self._every = every
        self._due = due
        self._open: set[asyncio.Task[None]] = set()
        self._overdue: set[str] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Tick until ``stop`` is set; what is open then is judged when the canary runs again."""
        for run_id, asked_at in await self._ledger.open():
            self._follow(run_id, asked_at)
        ticking = asyncio.create_task(stop.wait())
        while not ticking.done():
            if len(self._open) < MOST_OPEN:
                run_id, asked_at = f"canary-{uuid.uuid4()}", _now()
                await self._ledger.ask(run_id, asked_at)
                self._follow(run_id, asked_at)
            await asyncio.wait([ticking], timeout=self._every)
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _follow(self, run_id: str, asked_at: int) -> None:
        task = asyncio.create_task(self._judge(run_id, asked_at))
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        task.add_done_callback(_tell)

    async def _judge(self, run_id: str, asked_at: int) -> None:
        outcome = await self._outcome(run_id, asked_at)
        effects = await self._ledger.effects(run_id)
        self._note_overdue(run_id, overdue=False)
        metrics.CANARY_RUNS.labels(outcome).inc()
        if outcome == "completed":
            metrics.CANARY_LATENCY.observe((_now() - asked_at) / 1000)
        if effects > 1:
            metrics.CANARY_DOUBLED.inc()
            _log.error("a run had its effect more than once", run_id=run_id, effects=effects)
        if outcome == "lost" or (outcome == "completed" and not effects):
            metrics.CANARY_LOST.inc()
            _log.error("a run is lost", run_id=run_id, outcome=outcome, effects=effects)
        await self._ledger.close(run_id)

    async def _outcome(self, run_id: str, asked_at: int) -> str:
        """Ask for a run, as often as it takes, and wait for its end, however long that takes."""
        handle: StartedRun | None = None
        while True:
            left = asked_at / 1000 + self._due - _now() / 1000
            self._note_overdue(run_id, overdue=left <= 0)
            patience = left if left > 0 else self._due
            try:
                if handle is None:
                    # The same request again is the same run, so nothing is doubled by asking.
                    handle = await self._client.start(
                        WORKFLOW, run_id, run_id=run_id, request_id=run_id, requested_by="the canary",
                        if_exists="return", within=patience,
                    )  # fmt: skip
                elif left <= 0:
                    await handle.state()  # that it is still there
                await handle.result(patience)
            except RunFailed:
                return "failed"
            except RunMissing:
                return "lost"
            except ActionbusError as error:
                _log.warning("no answer yet", run_id=run_id, reason=str(error))
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return "completed"

    def _note_overdue(self, run_id: str, *, overdue: bool) -> None:
        (self._overdue.add if overdue else self._overdue.discard)(run_id)
        metrics.CANARY_OVERDUE.set(len(self._overdue))


def _now() -> int:
    return time.time_ns() // 1_000_000


def _tell(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("a run cannot be judged", error=str(error))
