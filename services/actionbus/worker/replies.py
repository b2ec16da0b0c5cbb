"""Results and dead letters on their way out: written together, and again until the broker has acknowledged them.

A result is never given up while the worker lives: the offset of its command is not committed before. What is written
is decided by the lane.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from actionbus.contracts.errors import ActionbusError, BatchTooLarge, Unavailable
from actionbus.contracts.limits import Limits
from actionbus.contracts.records import OutRecord
from actionbus.kafka import batches
from actionbus.kafka.producer import IdempotentProducer

BACKOFF_SECONDS: Final = 0.5
BACKOFF_CAP_SECONDS: Final = 10.0
Place = tuple[str, int]

_log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class Reply:
    """One record, what to do once it is acknowledged, and what instead if the topic does not take so large a one."""

    record: OutRecord
    settled: Callable[[], None] | None = None
    too_large: Callable[[], None] | None = None
    failures: int = 0


class Replies:
    """Writes replies through one producer; those of one turn of the event loop share a batch."""

    def __init__(self, producer: IdempotentProducer, limits: Limits) -> None:
        self._producer = producer
        self._limit = limits.batch_bytes
        self._waiting: defaultdict[Place, list[Reply]] = defaultdict(list)
        self._departing = False
        self._outstanding = 0
        self._nothing = asyncio.Event()
        self._nothing.set()
        self.trouble: str | None = None  # why the last write failed, until one succeeds

    @property
    def outstanding(self) -> int:
        """Replies that are not acknowledged."""
        return self._outstanding

    def send(self, place: Place, reply: Reply) -> None:
        """Write a reply to a topic and partition."""
        self._outstanding += 1
        self._nothing.clear()
        self._enqueue(place, [reply])

    async def drain(self) -> None:
        """Wait until everything is acknowledged."""
        await self._nothing.wait()

    def _enqueue(self, place: Place, replies: list[Reply]) -> None:
        self._waiting[place] += replies
        if not self._departing:
            self._departing = True
            asyncio.get_running_loop().call_soon(self._depart)

    def _depart(self) -> None:
        self._departing = False
        waiting, self._waiting = self._waiting, defaultdict(list)
        for place, replies in waiting.items():
            done = 0
            for run in batches.split([reply.record for reply in replies], limit=self._limit):
                self._write(place, replies[done : done + len(run)])
                done += len(run)

    def _write(self, place: Place, replies: list[Reply]) -> None:
        try:
            written = self._producer.append(*place, [reply.record for reply in replies])
        except ActionbusError as error:
            self._failed(place, replies, error)
            return
        written.add_done_callback(lambda future: self._written(place, replies, future))

    def _written(self, place: Place, replies: list[Reply], written: "asyncio.Future[int]") -> None:
        if written.cancelled():
            self._failed(place, replies, Unavailable("the write was cancelled"))
            return
        error = written.exception()
        if error is not None:
            self._failed(place, replies, error)
            return
        self.trouble = None
        self._finish(len(replies))
        for reply in replies:
            if reply.settled is not None:
                reply.settled()

    def _failed(self, place: Place, replies: list[Reply], error: BaseException) -> None:
        if isinstance(error, BatchTooLarge) and len(replies) > 1:
            for reply in replies:  # one of them is too large for the topic: each for itself shows which
                self._write(place, [reply])
            return
        too_large = replies[0].too_large
        if isinstance(error, BatchTooLarge) and too_large is not None:
            self._finish(1)
            too_large()
            return
        self.trouble = f"results cannot be written to {place[0]}, partition {place[1]}: {error}"
        _log.error("a result is not written yet", topic=place[0], partition=place[1], reason=str(error))
        for reply in replies:
            reply.failures += 1
        pause = min(BACKOFF_SECONDS * 2 ** (replies[0].failures - 1), BACKOFF_CAP_SECONDS)
        asyncio.get_running_loop().call_later(pause, self._enqueue, place, replies)

    def _finish(self, count: int) -> None:
        self._outstanding -= count
        if self._outstanding == 0:
            self._nothing.set()
