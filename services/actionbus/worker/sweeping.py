"""Rows of inboxes and journals that nobody can ask for any more are removed, a batch at a time, if that is asked for.

A row that is removed too early lets its effect happen twice, or an undo say that nothing happened: how long rows stay
is for whoever knows how long runs live, so nothing is removed unless a setting says after how many days.
"""

import asyncio
import time
from collections.abc import Iterable
from typing import Final

import structlog
from sqlalchemy import delete, select
from sqlalchemy.exc import SQLAlchemyError

from actionbus.process import metrics
from actionbus.worker.inbox_table import INBOX
from actionbus.worker.journal_table import JOURNAL
from actionbus.worker.stores import Store

DAY_MS: Final = 86_400_000
EVERY_SECONDS: Final = 3_600.0  # after a start at once, and so often from then on
BATCH_ROWS: Final = 1_000  # of one transaction: others write between two of them
PAUSE_SECONDS: Final = 0.1  # between two batches

_log = structlog.get_logger(__name__)


async def keep_sweeping(stores: Iterable[Store], *, days: int) -> None:
    """Remove what is older than so many days, for ever. A database that does not answer is tried again next time."""
    chosen = tuple(stores)
    while True:
        for store in chosen:
            try:
                await sweep(store, before=time.time_ns() // 1_000_000 - days * DAY_MS)
            except (SQLAlchemyError, OSError) as error:
                _log.warning("old rows are not removed yet", store=store.name, reason=str(error))
        await asyncio.sleep(EVERY_SECONDS)


async def sweep(store: Store, *, before: int) -> int:
    """Remove the rows that were made before a time, epoch milliseconds; how many those were."""
    removed = 0
    for table in (INBOX, JOURNAL) if store.journal else (INBOX,):
        old = select(table.c.key).where(table.c.created_at < before).limit(BATCH_ROWS)
        # Another worker that removes the same rows is passed by, not waited for; SQLite has one writer anyway.
        statement = delete(table).where(table.c.key.in_(old.with_for_update(skip_locked=True))).returning(table.c.key)
        gone = BATCH_ROWS
        while gone == BATCH_ROWS:
            async with store.slots, store.sweeper() as connection:
                gone = len((await connection.execute(statement)).all())
            removed += gone
            await asyncio.sleep(PAUSE_SECONDS if gone else 0)
    if removed:
        metrics.ROWS_REMOVED.labels(store.name).inc(removed)
        _log.info("removed old rows", store=store.name, count=removed)
    return removed
