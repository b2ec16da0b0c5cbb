"""One reader of all events for every run that a client waits for, however many there are.

Most events are of runs nobody here waits for: they are told by their key and never decoded. Of the others only the
status is read, until a listener wants the whole event.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import aclosing
from typing import Protocol

import structlog

from actionbus.client import outcomes, standing
from actionbus.contracts.errors import ActionbusError, RecordUnreadable, Unavailable
from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.contracts.limits import Limits
from actionbus.contracts.records import InRecord
from actionbus.kafka.codec import Codec
from actionbus.kafka.connection import Connection
from actionbus.kafka.reader import PartitionReader

_log = structlog.get_logger(__name__)


class Listener(Protocol):
    """Somebody who waits for events of one run."""

    @property
    def every(self) -> bool:
        """Whether it wants every event, and not only the last of the run."""
        ...

    def take(self, event: WorkflowEvent) -> bool:
        """Take an event in; whether more are wanted."""
        ...

    def fail(self, error: ActionbusError) -> None:
        """Nothing will come any more."""
        ...


class Outcome:
    """Listens for the verdict on one request and for the end of the run it is about.

    ``request_id`` None: there is no request to wait for; ``incarnation`` says which life of the run is meant, and is
    learned from the verdict. Ends of other lives under the same id are kept apart.
    """

    def __init__(self, request_id: str | None) -> None:
        loop = asyncio.get_running_loop()
        self.verdict: asyncio.Future[tuple[WorkflowEvent, EventEntry]] = loop.create_future()
        self.ended: asyncio.Future[WorkflowEvent] = loop.create_future()
        self._request_id = request_id
        self._incarnation: str | None = None
        self._ends: dict[str, WorkflowEvent] = {}

    @property
    def every(self) -> bool:
        """A verdict may stand in any event."""
        return self._request_id is not None and not self.verdict.done()

    def expect(self, incarnation: str) -> None:
        """From now on only the end of this life of the run counts; one that was met already does."""
        self._incarnation = incarnation
        if incarnation in self._ends and not self.ended.done():
            self.ended.set_result(self._ends[incarnation])
        self._ends.clear()

    def take(self, event: WorkflowEvent) -> bool:
        """Look for the verdict, then for the end."""
        if self._request_id is not None and not self.verdict.done():
            entry = outcomes.verdict(event, self._request_id)
            if entry is not None:
                self.verdict.set_result((event, entry))
                if entry.kind is EntryKind.REQUEST_REJECTED:
                    return False
                self.expect(event.incarnation)
        if outcomes.ended(event) and not self.ended.done():
            if self._incarnation is None:
                self._ends[event.incarnation] = event
            elif event.incarnation == self._incarnation:
                self.ended.set_result(event)
        return not self.ended.done()

    def fail(self, error: ActionbusError) -> None:
        """Whoever waits gets the error; nobody has to."""
        waiting: tuple[asyncio.Future[tuple[WorkflowEvent, EventEntry]] | asyncio.Future[WorkflowEvent], ...]
        waiting = (self.verdict, self.ended)
        for each in waiting:
            if not each.done():
                each.set_exception(error)
                each.exception()  # looked at, so that asyncio does not complain about one nobody waits for


class Follower:
    """Hands every event of a run on, in order."""

    every = True

    def __init__(self) -> None:
        self.events: asyncio.Queue[WorkflowEvent | ActionbusError] = asyncio.Queue()

    def take(self, event: WorkflowEvent) -> bool:
        """Hand it on."""
        self.events.put_nowait(event)
        return True

    def fail(self, error: ActionbusError) -> None:
        """Hand the error on."""
        self.events.put_nowait(error)


class Tail:
    """Reads the events topic from where it ended when it was started."""

    def __init__(self, connection: Connection, topic: str, partitions: int, *, codec: Codec, limits: Limits) -> None:
        self._reader = PartitionReader(connection, limits=limits)
        self._topic = topic
        self._partitions = partitions
        self._codec = codec
        self._listeners: defaultdict[bytes, list[Listener]] = defaultdict(list)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect and remember where the topic ends now: whatever comes later is seen."""
        await self._reader.start()
        places = [(self._topic, partition) for partition in range(self._partitions)]
        ends = await asyncio.gather(*(self._reader.end(*place) for place in places))
        self._task = asyncio.create_task(self._run(dict(zip(places, ends, strict=True))))

    async def close(self) -> None:
        """Stop reading; whoever still waits is told so."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._fail(Unavailable("the client was closed"))
        await self._reader.close()

    @property
    def running(self) -> bool:
        """Whether events still come."""
        return self._task is not None and not self._task.done()

    def add(self, run_id: str, listener: Listener) -> None:
        """Tell the listener of every event of that run from now on, until it wants no more or is removed."""
        self._listeners[run_id.encode()].append(listener)

    def remove(self, run_id: str, listener: Listener) -> None:
        """Tell it nothing more; harmless when repeated."""
        key = run_id.encode()
        if listener in self._listeners.get(key, ()):
            self._keep(key, [each for each in self._listeners[key] if each is not listener])

    async def _run(self, positions: dict[tuple[str, int], int]) -> None:
        try:
            async with aclosing(self._reader.follow(positions)) as pages:
                async for records in pages:
                    self._deliver(records)
        except ActionbusError as error:
            self._fail(error)

    def _deliver(self, records: Sequence[InRecord]) -> None:
        for record in records:
            listeners = self._listeners.get(record.key) if record.key is not None else None
            if listeners:
                try:
                    self._tell(record, listeners)
                except RecordUnreadable as error:
                    _log.error(
                        "an event cannot be read", partition=record.partition, offset=record.offset, error=str(error)
                    )

    def _tell(self, record: InRecord, listeners: list[Listener]) -> None:
        if not any(each.every for each in listeners) and not standing.after(record.value, self._codec).ended:
            return
        event = self._codec.decode(WorkflowEvent, record.value)
        if event.run_id.encode() == record.key:
            self._keep(event.run_id.encode(), [each for each in listeners if each.take(event)])

    def _keep(self, key: bytes, listeners: list[Listener]) -> None:
        if listeners:
            self._listeners[key] = listeners
        else:
            self._listeners.pop(key, None)

    def _fail(self, error: ActionbusError) -> None:
        for listeners in self._listeners.values():
            for each in listeners:
                each.fail(error)
        self._listeners.clear()
