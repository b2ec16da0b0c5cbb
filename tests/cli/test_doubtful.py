"""Steps of which Kafka and a store say different things are found, in both directions, and no others."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from actionbus.contracts.events import WorkflowEvent
from actionbus.contracts.topics import Topics
from actionbus.kafka.cluster import Cluster
from actionbus.kafka.codec import Codec
from actionbus.kafka.connection import Connection
from actionbus.kafka.partitioning import partition_for
from actionbus.kafka.producer import IdempotentProducer
from actionbus.kafka.reader import PartitionReader
from actionbus.orchestrator import records
from cli.installed import Dev

pytestmark = pytest.mark.kafka
SINCE = "2020-01-01T00:00:00Z"
APP = '''
from sqlalchemy import text

from actionbus import NonRetryable, action, workflow


@action(id="book", effect="transactional")
async def book(ctx, name: str) -> str:
    """Writes."""
    await ctx.db.execute(text("CREATE TABLE IF NOT EXISTS booked (name TEXT)"))
    await ctx.db.execute(text("INSERT INTO booked VALUES (:name)"), {"name": name})
    return name


@action(id="unbook", effect="transactional")
async def unbook(ctx, name: str) -> None:
    """Takes it back."""
    await ctx.db.execute(text("DELETE FROM booked WHERE name = :name"), {"name": name})


@action(id="pay")
def pay(name: str) -> None:
    """Refuses eve."""
    if name == "eve":
        raise NonRetryable("no money", type="Poor")


@workflow(id="booking", version="1")
def booking(flow, name: str) -> None:
    flow.run(book(name=name), undo=lambda made: unbook(name=made))
    flow.run(pay(name=name))
'''


@pytest.fixture
def bookings(tmp_path: Path):
    """An installation with a run that completed and one that was undone."""
    Path(tmp_path, "app.py").write_text(APP, encoding="utf-8")
    made = Dev(tmp_path, "app.py", {"ACTIONBUS_STORE_DEFAULT_URL": f"sqlite:///{tmp_path}/store.db"})
    try:
        made.start("--no-reload")
        for name in ("ada", "eve"):
            made.command("runs", "start", "booking", f'"{name}"', "--id", name)
            made.command("runs", "result", name)
        yield made
    finally:
        made.close()


def _doubtful(dev: Dev) -> dict[str, str]:
    return {row["step_key"].partition(":")[0]: row["found"] for row in dev.json("steps", "doubtful", SINCE)}


def test_what_a_store_lost_is_found_and_what_kafka_lost_as_well(bookings: Dev) -> None:
    """Nothing while both agree; then the step, and the undo, whose rows are gone, a row of a run nobody knows.

    Without a store it says which variable is missing.
    """
    assert _doubtful(bookings) == {}
    with sqlite3.connect(bookings.folder / "store.db") as store:
        store.execute(
            "INSERT INTO actionbus_inbox SELECT 'joe:0/book', status, 'joe:0/book/1', input_hash, result, "
            "created_at FROM actionbus_inbox WHERE key LIKE 'ada:%'"
        )
        store.execute("DELETE FROM actionbus_inbox WHERE key LIKE 'ada:%' OR key LIKE 'eve:%/undo'")
    store.close()
    assert _doubtful(bookings) == {
        "ada": "Kafka says that it was done, and the database has no row of it",
        "eve": "Kafka says that it was undone, and the database has no row of that",
        "joe": "the database holds it, and Kafka knows no such run",
    }
    del bookings.environment["ACTIONBUS_STORE_DEFAULT_URL"]
    assert "ACTIONBUS_STORE_<NAME>_URL" in bookings.refused(2, "steps", "doubtful", SINCE)


async def _say_more(bootstrap: str) -> None:
    """Let the events be ahead of the state, as where the state was taken back and they were not."""
    codec, topics, connection = Codec(), Topics(), Connection(bootstrap_servers=bootstrap)
    async with (
        Cluster(connection) as cluster,
        PartitionReader(connection) as reader,
        IdempotentProducer(connection) as producer,
    ):
        shard = partition_for(b"ada", await cluster.partitions(topics.events))
        pages = [page async for page in reader.read_to_end(topics.events, shard)]
        events = [codec.decode(WorkflowEvent, record.value) for page in pages for record in page]
        last = [event for event in events if event.run_id == "ada"][-1]
        fork = partition_for(b"eve", await cluster.partitions(topics.events))
        pages = [page async for page in reader.read_to_end(topics.events, fork)]
        again = [record.value for page in pages for record in page if record.key == b"eve"][-1]
        await producer.append(topics.events, fork, [records.event(codec, codec.decode(WorkflowEvent, again), None)])
        for event in (
            last.replace(version=last.version + 1),
            last.replace(run_id="new", incarnation="zzzz"),
            last.replace(run_id="forgotten", incarnation="0"),
        ):
            await producer.append(topics.events, shard, [records.event(codec, event, None)])


def test_a_run_whose_state_lost_what_was_acknowledged_is_found(bookings: Dev) -> None:
    """It is where its events say more than its state or the same twice, or its shard has not read its start.

    A run that its shard may have forgotten is not.
    """
    bookings.until(lambda: _doubtful(bookings) == {})
    asyncio.run(_say_more(bookings.variables()["ACTIONBUS_KAFKA_BOOTSTRAP_SERVERS"]))
    rows = bookings.json("steps", "doubtful", SINCE)
    assert {(row["run_id"], row["found"]) for row in rows} == {
        ("eve", "its events say the same twice, as its state lost what was acknowledged and all of that came again"),
        ("ada", "the events say more of this run than its state, which lost what was acknowledged"),
        ("new", "the events say more of this run than its state, which lost what was acknowledged"),
    }
