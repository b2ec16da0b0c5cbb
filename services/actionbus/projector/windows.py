"""The last whole minute, hour and day of workflows and actions, as metrics: what the tables count anyway.

They are read again and again, so what is written late still counts. How many names are told is limited.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final, NamedTuple

import structlog
from prometheus_client import Gauge

from actionbus.contracts.errors import ActionbusError
from actionbus.process import metrics
from actionbus.visibility.database import Database
from actionbus.visibility.insights import Insights, Resolution, WindowKind
from actionbus.visibility.rows import WindowRow

_log = structlog.get_logger(__name__)


class _Gauges(NamedTuple):
    """What is told of a window; durations by percentile, the others by name and window alone."""

    started: Gauge
    completed: Gauge
    failure: Gauge
    duration: Gauge


_OF: Final[Mapping[WindowKind, _Gauges]] = {
    WindowKind.WORKFLOW: _Gauges(
        metrics.WINDOW_RUNS_STARTED,
        metrics.WINDOW_RUNS_COMPLETED,
        metrics.WINDOW_RUNS_FAILURE,
        metrics.WINDOW_RUNS_DURATION,
    ),
    WindowKind.ACTION: _Gauges(
        metrics.WINDOW_ATTEMPTS_STARTED,
        metrics.WINDOW_STEPS_COMPLETED,
        metrics.WINDOW_ATTEMPTS_FAILURE,
        metrics.WINDOW_STEPS_DURATION,
    ),
}
_Told = dict[tuple[Gauge, tuple[str, ...]], float]


class Windows:
    """Tells of the last windows of one database. ``most``: workflows, and actions, that are told of."""

    def __init__(self, database: Database, most: int) -> None:
        self._insights = Insights(database)
        self._most = most
        self._told: _Told = {}

    async def follow(self, stop: asyncio.Event, every_seconds: float) -> None:
        """Tell of them until ``stop`` is set; of none while the database does not answer."""
        while not stop.is_set():
            try:
                await self.tell(time.time_ns() // 1_000_000)
            except ActionbusError as error:
                self.withdraw()
                _log.warning("windows cannot be read", error=str(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), every_seconds)

    async def tell(self, now: int) -> None:
        """Tell of the windows that were over at a time, and no more of what is not among them."""
        told: _Told = {}
        for kind, by_name in (await self._insights.latest(now)).items():
            busiest = sorted(by_name, key=lambda name: (-sum(row.started for row in by_name[name].values()), name))
            for name in busiest[: self._most]:
                for resolution, row in by_name[name].items():
                    told |= _values(_OF[kind], name, resolution, row)
        self._set(told)

    def withdraw(self) -> None:
        """Nothing is known any more."""
        self._set({})

    def _set(self, told: _Told) -> None:
        for (gauge, labels), value in told.items():
            gauge.labels(*labels).set(value)
        for gauge, labels in self._told.keys() - told.keys():
            gauge.remove(*labels)
        self._told = told


def _values(gauges: _Gauges, name: str, resolution: Resolution, row: WindowRow) -> _Told:
    window = (name, resolution.value)
    found: _Told = {(gauges.started, window): row.started, (gauges.completed, window): row.completed}
    if row.failure_share is not None:
        found[gauges.failure, window] = row.failure_share
    for percentile, milliseconds in (("p50", row.p50_ms), ("p95", row.p95_ms)):
        if milliseconds is not None:
            found[gauges.duration, (*window, percentile)] = milliseconds / 1000
    return found
