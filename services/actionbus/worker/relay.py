"""Results that are committed and were never published go out from the database: after a crash, or a lost command.

Mostly the command is delivered again and answered from its row. Where it is not, because its offset was set by hand or
its record is gone, the run would wait for ever. A result that goes out twice changes nothing.
"""

import asyncio
import time
from contextlib import suppress
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from actionbus.contracts.commands import ActionCommand
from actionbus.contracts.errors import RecordUnreadable
from actionbus.kafka.codec import Codec
from actionbus.process import crashing, metrics
from actionbus.worker import answers, inbox_table, outbox_table
from actionbus.worker.outbox_table import Row
from actionbus.worker.outcomes import Outcome
from actionbus.worker.replies import Replies, Reply
from actionbus.worker.stores import Store

EVERY_SECONDS: Final = 30.0  # between two looks for what was left behind, the first of which is at the start
OLD_MS: Final = 10_000  # younger rows are those of workers that are about to publish
FLUSH_SECONDS: Final = 1.0  # between two removals of what is published
BATCH_ROWS: Final = 500

_log = structlog.get_logger(__name__)


class Relay:
    """Publishes what one store holds unpublished, and forgets there what is published."""

    def __init__(self, store: Store, replies: Replies, codec: Codec, *, worker: str) -> None:
        self._store = store
        self._replies = replies
        self._codec = codec
        self._worker = worker
        self._published: set[str] = set()
        self._sending: set[str] = set()

    def published(self, command_id: str) -> None:
        """The brokers have the result of a command."""
        self._published.add(command_id)
        self._sending.discard(command_id)

    async def serve(self) -> None:
        """Look and forget, for ever. A database that does not answer is asked again later."""
        looked = -EVERY_SECONDS
        loop = asyncio.get_running_loop()
        try:
            while True:
                with suppress(SQLAlchemyError, OSError):
                    await self.flush()
                    if loop.time() - looked >= EVERY_SECONDS:
                        looked = loop.time()
                        await self.look()
                await asyncio.sleep(FLUSH_SECONDS)
        finally:
            with suppress(SQLAlchemyError, OSError):
                await self.flush()

    async def flush(self) -> None:
        """Forget what is published; raises what the database raises, and then it is forgotten later."""
        gone = list(self._published)[:BATCH_ROWS]
        if not gone:
            return
        crashing.visit(crashing.Point.OUTBOX_UNCLEARED)
        async with self._store.slots, self._store.sweeper() as session:
            await outbox_table.remove(session, gone)
        self._published.difference_update(gone)

    async def look(self) -> None:
        """Publish what was left behind; raises what the database raises."""
        before = time.time_ns() // 1_000_000 - OLD_MS
        async with self._store.slots, self._store.sweeper() as session:
            rows = await outbox_table.waiting(session, before=before, limit=BATCH_ROWS)
            known = await inbox_table.find(session, *(each.key for each in rows))
        for row in rows:
            entry = known.get(row.key)
            if row.command_id in self._published or row.command_id in self._sending:
                continue
            if entry is None or entry.result is None:
                self.published(row.command_id)  # its row is gone, so nobody can say what to publish
            else:
                self._publish(row, entry.outcome())

    def _publish(self, row: Row, outcome: Outcome) -> None:
        try:
            command = self._codec.decode(ActionCommand, row.command)
        except RecordUnreadable as error:  # it stays where it is, for a person
            _log.error("a row of the outbox cannot be read", command=row.command_id, reason=str(error))
            return
        result = answers.result(command, outcome, worker=self._worker, started_at=0)
        self._sending.add(row.command_id)
        crashing.visit(crashing.Point.RELAY_FOUND)
        metrics.RESULTS_RELAYED.labels(self._store.name).inc()
        _log.warning("a result that was never published goes out from the outbox", command=row.command_id)

        def settled() -> None:
            crashing.visit(crashing.Point.RELAY_PUBLISHED)
            self.published(row.command_id)

        reply = Reply(record=answers.record(self._codec, result, None), settled=settled)
        self._replies.send((command.reply_topic, command.reply_partition), reply)
