"""What windows say: how many runs or attempts there were, how many failed, and how long they took."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Table, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from actionbus.visibility import generations, latency
from actionbus.visibility.database import Database
from actionbus.visibility.rows import WindowRow
from actionbus.visibility.tables import LATENCIES, WINDOWS


class Resolution(StrEnum):
    """How long a window is. Windows begin at whole minutes, hours and days of UTC."""

    MINUTE = "1m"
    """A minute."""
    HOUR = "1h"
    """An hour."""
    DAY = "1d"
    """A day."""


class WindowKind(StrEnum):
    """What is counted."""

    WORKFLOW = "workflow"
    """Runs of a workflow."""
    ACTION = "action"
    """Attempts of an action."""


LENGTHS_MS: Final[Mapping[Resolution, int]] = {
    Resolution.MINUTE: 60_000,
    Resolution.HOUR: 3_600_000,
    Resolution.DAY: 86_400_000,
}
COUNTS: Final = (
    *("started", "completed", "failed", "cancelled", "terminated", "timed_out"),
    *("retries", "compensated", "incidents", "duration_ms"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Windows of one length that begin from ``after`` on and before ``before``, epoch milliseconds."""

    resolution: Resolution
    after: int
    before: int


class Insights:
    """Asks the windows of one visibility database. Raises Unavailable when it does not answer."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def windows(self, kind: WindowKind, name: str, span: Span) -> tuple[WindowRow, ...]:
        """The windows of a workflow or action in which something happened, oldest first."""
        async with self._database.reading() as connection:
            generation = await generations.live(connection)
            rows = await connection.execute(
                select(WINDOWS).where(*_in(WINDOWS, generation, kind, name, span)).order_by(WINDOWS.c.start)
            )
            found = rows.all()
            buckets = await _buckets(connection, generation, kind, name, span)
        length = LENGTHS_MS[span.resolution]
        return tuple(_window(row.start, row.start + length, [row], buckets[row.start]) for row in found)

    async def total(self, kind: WindowKind, name: str, span: Span) -> WindowRow:
        """All windows of a span together, as one from ``after`` to ``before``."""
        async with self._database.reading() as connection:
            generation = await generations.live(connection)
            rows = (await connection.execute(select(WINDOWS).where(*_in(WINDOWS, generation, kind, name, span)))).all()
            buckets = await _buckets(connection, generation, kind, name, span)
        together: dict[int, int] = defaultdict(int)
        for counts in buckets.values():
            for bucket, count in counts.items():
                together[bucket] += count
        return _window(span.after, span.before, rows, together)

    async def latest(self, now: int) -> Mapping[WindowKind, Mapping[str, Mapping[Resolution, WindowRow]]]:
        """The last windows that were over at a time, by name: of everything that any of them tells of.

        A window in which nothing happened is told with zeros.
        """
        starts = {each: now - now % length - length for each, length in LENGTHS_MS.items()}
        async with self._database.reading() as connection:
            generation = await generations.live(connection)
            rows = (await connection.execute(select(WINDOWS).where(_last(WINDOWS, generation, starts)))).all()
            what = (LATENCIES.c.kind, LATENCIES.c.name, LATENCIES.c.resolution, LATENCIES.c.bucket, LATENCIES.c.count)
            counted = await connection.execute(select(*what).where(_last(LATENCIES, generation, starts)))
            buckets: dict[tuple[str, ...], dict[int, int]] = defaultdict(dict)
            for *key, bucket, count in counted:
                buckets[tuple(key)][bucket] = count
        by_key = {(row.kind, row.name, row.resolution): row for row in rows}
        found: dict[WindowKind, dict[str, dict[Resolution, WindowRow]]] = {kind: {} for kind in WindowKind}
        for kind, name in sorted({(row.kind, row.name) for row in rows}):
            windows: dict[Resolution, WindowRow] = {}
            for resolution, start in starts.items():
                row = by_key.get((kind, name, resolution.value))
                counts = buckets[kind, name, resolution.value]
                windows[resolution] = _window(start, start + LENGTHS_MS[resolution], [row] if row else [], counts)
            found[WindowKind(kind)][name] = windows
        return found

    async def names(self, kind: WindowKind, span: Span) -> tuple[str, ...]:
        """The workflows or actions that anything is told of in a span."""
        async with self._database.reading() as connection:
            generation = await generations.live(connection)
            where = _in(WINDOWS, generation, kind, None, span)
            rows = await connection.execute(select(WINDOWS.c.name).where(*where).distinct().order_by(WINDOWS.c.name))
            return tuple(rows.scalars())


def _in(table: Table, generation: int, kind: WindowKind, name: str | None, span: Span) -> list[Any]:
    found = [
        table.c.generation == generation,
        table.c.resolution == span.resolution.value,
        table.c.start >= span.after,
        table.c.start < span.before,
        table.c.kind == kind.value,
    ]
    return found if name is None else [*found, table.c.name == name]


def _last(table: Table, generation: int, starts: Mapping[Resolution, int]) -> ColumnElement[bool]:
    return and_(
        table.c.generation == generation,
        or_(*(and_(table.c.resolution == each.value, table.c.start == start) for each, start in starts.items())),
    )


async def _buckets(
    connection: AsyncConnection, generation: int, kind: WindowKind, name: str, span: Span
) -> Mapping[int, Mapping[int, int]]:
    what = (LATENCIES.c.start, LATENCIES.c.bucket)
    rows = await connection.execute(
        select(*what, func.sum(LATENCIES.c.count)).where(*_in(LATENCIES, generation, kind, name, span)).group_by(*what)
    )
    found: dict[int, dict[int, int]] = defaultdict(dict)
    for start, bucket, count in rows:
        found[start][bucket] = int(count)
    return found


def _window(start: int, end: int, rows: Iterable[Row[Any]], buckets: Mapping[int, int]) -> WindowRow:
    counts = dict.fromkeys(COUNTS, 0)
    for row in rows:
        for name in COUNTS:
            counts[name] += getattr(row, name)
    duration = counts.pop("duration_ms")
    return WindowRow(
        start=start,
        end=end,
        **counts,
        mean_ms=duration / counts["completed"] if counts["completed"] else None,
        p50_ms=latency.percentile(buckets, 0.5),
        p95_ms=latency.percentile(buckets, 0.95),
    )
