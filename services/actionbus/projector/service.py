"""The projector as a service: from the events topic to the tables, until it is told to stop.

Any number of projectors share the partitions. Where each begins is in the tables, beside the rows, so whatever ends one
costs nothing but the time until another goes on.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

import structlog
from sqlalchemy import select

from actionbus.contracts.errors import ActionbusError, Unavailable
from actionbus.contracts.topics import Topics
from actionbus.kafka.cluster import Cluster
from actionbus.process import crashing, metrics
from actionbus.process.service import serving
from actionbus.process.settings import Settings
from actionbus.projector import intake, streaming
from actionbus.projector.driver import Transport
from actionbus.projector.windows import Windows
from actionbus.visibility import generations
from actionbus.visibility.database import Database
from actionbus.visibility.incoming import Stretch, Written
from actionbus.visibility.insights import Resolution
from actionbus.visibility.retention import Retention, expire
from actionbus.visibility.tables import POSITIONS
from actionbus.visibility.writing import Writer

AGAIN_SECONDS: Final = 2.0  # before what failed is tried again
WATCH_SECONDS: Final = 0.5  # between looks at whether the app still lives, and how far it is behind
MARKER: Final = 1  # the record at the end of a transaction, which no reader is given

_log = structlog.get_logger(__name__)


class Projector:
    """One projector process, or the projector's part of one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topics = Topics(settings.prefix)
        self._codec = settings.registry.codec()
        self._database = Database(settings.visibility.url.get_secret_value())
        self._writer = Writer()
        self._trouble: str | None = "it is starting"
        self._stop = asyncio.Event()
        self._written: dict[int, tuple[int, int]] = {}  # by partition: the next offset, and the time of the last record

    def not_ready(self) -> list[str]:
        """Why it does not follow the events now; nothing when it does. May be called from any thread."""
        return [] if self._trouble is None else [self._trouble]

    async def serve(self, stop: asyncio.Event) -> None:
        """Project until ``stop`` is set; a batch that is being written is finished.

        Raises Unavailable, AccessRefused, TopicMissing or SettingsRefused when it cannot begin.
        """
        self._stop = stop
        async with self._database as database:
            await database.migrate()
            async with Cluster(self._settings.kafka.connection("actionbus-projector")) as cluster:
                await cluster.partitions(self._topics.events)
            kept = self._settings.projector
            windows = Windows(database, kept.window_names)
            beside = [
                asyncio.create_task(self._expire(stop)),
                asyncio.create_task(windows.follow(stop, kept.window_seconds)),
            ]
            try:
                while not stop.is_set():
                    await self._live(stop)
            finally:
                for each in beside:
                    each.cancel()
                await asyncio.gather(*beside, return_exceptions=True)
                windows.withdraw()

    async def _expire(self, stop: asyncio.Event) -> None:
        """Delete rows whose time is over, a few at a time, for as long as there are any."""
        kept = self._settings.projector
        retention = Retention(
            runs_days=kept.keep_runs_days,
            events_days=kept.keep_events_days,
            windows_days={
                Resolution.MINUTE: kept.keep_minutes_days,
                Resolution.HOUR: kept.keep_hours_days,
                Resolution.DAY: kept.keep_days_days,
            },
            batch_rows=kept.expire_rows,
        )
        while not stop.is_set():
            now, deleted = time.time_ns() // 1_000_000, 0
            try:
                deleted = await expire(self._database, retention, now=now, clock=now)
            except ActionbusError as error:
                _log.warning("rows whose time is over cannot be deleted", error=str(error))
            if not deleted:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), kept.expire_seconds)

    async def _live(self, stop: asyncio.Event) -> None:
        """One life of the app: until the end, or until it breaks."""
        app = self._app()
        watching = asyncio.create_task(self._watch(app, stop))
        try:
            starting = asyncio.create_task(app.start())
            await asyncio.wait({starting, watching}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                starting.result()
                await watching
        except Exception as error:  # noqa: BLE001 - whatever breaks inside of Faust, the next life begins afresh
            self._trouble = f"reading events is interrupted: {error}"
            _log.warning("reading events is interrupted", error=str(error), kind=type(error).__name__)
        finally:
            watching.cancel()
            with suppress(Exception, asyncio.CancelledError):
                await app.stop()
        if not stop.is_set():
            self._writer.forget()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), AGAIN_SECONDS)

    def _app(self) -> Any:
        return streaming.app(self._topics.projector_group, self._topics.events, self._take, self._transport)

    def _transport(self, app: Any) -> Transport:
        settings = self._settings
        return Transport(
            app,
            settings.kafka.connection("actionbus-projector"),
            self._topics.projector_group,
            bundle=max(1, settings.projector.batch_events // streaming.BUNDLES),
            limits=settings.limits,
            session_timeout_ms=settings.projector.session_timeout_ms,
            instance_id=settings.projector.group_instance_id,
            positions=self._positions,
            lost=self._lost,
            read=partial(intake.stretch, self._codec),
        )

    async def _watch(self, app: Any, stop: asyncio.Event) -> None:
        """Until the end, or until the app breaks, which is raised; says meanwhile how far it is behind."""
        while not stop.is_set():
            if app.crashed:
                raise Unavailable(f"{app.crash_reason}") from app.crash_reason
            self._measure(app)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), WATCH_SECONDS)

    def _measure(self, app: Any) -> None:
        topic, behind, oldest = self._topics.events, 0, time.time() * 1000
        try:
            assigned = [place for place in app.consumer.assignment() if place.topic == topic]
        except Exception:  # noqa: BLE001 - it has not started yet, or ends
            return
        if assigned and self._trouble == "it is starting":
            self._trouble = None
        for place in assigned:
            end, written = app.consumer.highwater(place), self._written.get(place.partition)
            if end is None or written is None:
                continue
            position, at = written
            lag = max(0, end - position - MARKER)
            metrics.CONSUMER_LAG.labels(topic, str(place.partition)).set(lag)
            behind += lag
            if lag:
                oldest = min(oldest, at)
        metrics.PROJECTOR_LAG.set(max(0.0, time.time() - oldest / 1000) if behind else 0)

    async def _positions(self, partitions: Sequence[int]) -> Mapping[int, int]:
        """How far the live tables follow some partitions; waits for a database that is away."""
        self._writer.forget()
        while True:
            try:
                async with self._database.reading() as connection:
                    generation = await generations.live(connection)
                    rows = await connection.execute(
                        select(POSITIONS.c.partition, POSITIONS.c.position).where(
                            POSITIONS.c.generation == generation, POSITIONS.c.partition.in_(partitions)
                        )
                    )
                    self._trouble = None
                    return {row.partition: row.position for row in rows}
            except ActionbusError as error:
                await self._wait(error)

    def _lost(self, partition: int, offsets: int) -> None:
        metrics.EVENTS_LOST.inc(offsets)
        _log.error(
            "events were removed before they were projected: raise the retention of the topic, or run the projector",
            partition=partition,
            offsets=offsets,
        )

    async def _take(self, batch: Sequence[Stretch]) -> None:
        """Write a batch, however often it takes; leaves without it only at the end."""
        found = intake.joined(batch)
        crashing.visit(crashing.Point.BATCH_READ)
        while True:
            begun = time.perf_counter()
            try:
                async with self._database.writing() as connection:
                    written = await self._writer.write(connection, found)
                    crashing.visit(crashing.Point.ROWS_WRITTEN)
                crashing.visit(crashing.Point.ROWS_COMMITTED)
                self._writer.committed()
            except ActionbusError as error:
                self._writer.forget()
                if self._stop.is_set():
                    return
                await self._wait(error)
            else:
                metrics.PROJECTOR_BATCH.observe(time.perf_counter() - begun)
                self._tell(written, found)
                return

    async def _wait(self, error: ActionbusError) -> None:
        self._trouble = str(error)
        _log.warning("the visibility database is waited for", error=str(error))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), AGAIN_SECONDS)

    def _tell(self, written: Written, found: Sequence[Stretch]) -> None:
        self._trouble = None
        self._written.update({each.partition: (each.position, each.records[-1].at) for each in found})
        for outcome, count in (
            ("written", written.events),
            ("repeated", written.repeated),
            ("verdict", written.verdicts),
            ("unreadable", written.unreadable),
        ):
            metrics.PROJECTOR_EVENTS.labels(outcome).inc(count)
        metrics.EVENT_VERSION_GAPS.inc(written.gaps)
        if written.unreadable:
            bad = next(each for stretch in found for each in stretch.records if each.event is None)
            _log.error("events cannot be read and were set aside", count=written.unreadable, first=bad.reason)


async def run(settings: Settings) -> None:
    """Be a projector process, with probes and metrics, until a signal asks it to end."""
    projector = Projector(settings)
    async with serving("projector", settings, projector.not_ready) as shutdown:
        await projector.serve(shutdown.requested)
