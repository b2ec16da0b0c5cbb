"""An installation full of runs that sleep: started without waiting for any, and counted in the topics."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from actionbus.contracts import payloads
from actionbus.contracts.records import OutRecord
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.contracts.topics import Topics
from actionbus.kafka.codec import Codec
from actionbus.kafka.partitioning import partition_for
from actionbus.kafka.producer import IdempotentProducer
from faults import alarm_app
from faults.ground import Ground
from faults.house import SESSIONS
from integration.installation import Installation

APP = Path(alarm_app.__file__)
RINGS = "CREATE TABLE rings (run_id TEXT NOT NULL, number INTEGER NOT NULL, early BOOLEAN NOT NULL)"
AT_ONCE = 5_000  # requests that are on their way at a time
QUIET_SECONDS = 300.0  # without anything new: what is missing never comes
SHARDS = 4


@asynccontextmanager
async def installed(ground: Ground, room: Path, chance: Random) -> AsyncIterator[tuple[Installation, str]]:
    """Topics and the definition, with no process yet; and the address of the database that runs ring in."""
    prefix = f"{room.name}-{chance.getrandbits(32):08x}"
    url = await ground.database(prefix)
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text(RINGS))
    await engine.dispose()
    made = Installation(
        bootstrap=ground.cluster(1).bootstrap,
        prefix=prefix,
        folder=room,
        app=APP,
        stores={"bank": url},
        extra=SESSIONS,
        named=True,
        shards=SHARDS,
    )
    try:
        await asyncio.to_thread(made.prepare)
        yield made, url
    finally:
        made.close()


async def start(made: Installation, count: int, at: int) -> list[str]:
    """Ask for so many runs that sleep until a moment; their ids."""
    topics, codec, ids = Topics(made.prefix), Codec(), [f"alarm-{number}" for number in range(count)]
    async with IdempotentProducer(made.connection, append_seconds=QUIET_SECONDS) as producer:
        for begin in range(0, count, AT_ONCE):
            sent = []
            for number, run_id in enumerate(ids[begin : begin + AT_ONCE], start=begin):
                request = WorkflowRequest(
                    request_id=f"start-{number}",
                    run_id=run_id,
                    kind=RequestKind.START,
                    workflow="alarm",
                    payload=payloads.encode({"number": number, "at": at}),
                )
                key = run_id.encode()
                record = OutRecord(key=key, value=codec.encode(request))
                sent.append(producer.append(topics.requests, partition_for(key, SHARDS), [record]))
            await asyncio.gather(*sent)
    return ids


async def until(count, wanted: int) -> int:
    """Ask for a count until it is what is wanted, or until it grows no more; the last count."""
    before, since = -1, time.monotonic()
    while time.monotonic() - since < QUIET_SECONDS:
        now = await count()
        if now >= wanted:
            return now
        if now != before:
            before, since = now, time.monotonic()
        await asyncio.sleep(0.1)
    return before
