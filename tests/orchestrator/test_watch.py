"""What an orchestrator tells of its shards, looked up at real brokers: lag, its age, and what open transactions hold back."""

from dataclasses import dataclass

import pytest
from aiokafka import AIOKafkaProducer
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from actionbus.contracts.definitions import WorkflowDefinition
from actionbus.contracts.limits import DEFAULT_LIMITS
from actionbus.contracts.records import OutRecord
from actionbus.contracts.topics import Topics
from actionbus.kafka.admin import Admin, TopicPlan
from actionbus.kafka.codec import Codec
from actionbus.kafka.producer import IdempotentProducer
from actionbus.orchestrator import watch
from actionbus.orchestrator.backlog import Backlog
from actionbus.orchestrator.definitions import Definitions
from actionbus.orchestrator.kafka_log import KafkaLog
from actionbus.orchestrator.progress import Progress
from actionbus.process import metrics
from protocol.world import pair
from support.topics import record

pytestmark = pytest.mark.kafka
NOW_MS = 4_000_000_000_000  # long after every broker's time


@dataclass
class Served:
    """A shard of this process, as far as a watch looks at it."""

    number: int
    progress: Progress | None


@dataclass
class Owned:
    """The shards of this process."""

    shards: list[Served]

    def count(self) -> None:
        """How many there are is told by who owns them, see test_ownership."""


def _shown(name: str, **labels) -> float | None:
    """The value of a series; None: there is none."""
    families = text_string_to_metric_families(generate_latest(metrics.REGISTRY).decode())
    found = [s.value for f in families for s in f.samples if s.name == name and labels.items() <= s.labels.items()]
    return found[0] if found else None


@pytest.fixture
async def watched(connection, prefix):
    """A watch over shard 0, whose position is the test's to move, and its topics."""
    topics = Topics(prefix)
    names = (topics.requests, topics.results, topics.state, topics.events, topics.definitions)
    async with Admin(connection) as admin:
        await admin.create_topics([TopicPlan(name=name, partitions=1) for name in names])
    async with KafkaLog(connection, topics, DEFAULT_LIMITS) as log:
        known = Definitions(log, topics.definitions, Codec(), limits=DEFAULT_LIMITS, run_retention_ms=1)
        definition = Codec().encode(WorkflowDefinition.of(pair(), deployed_at=0, deployed_by="test"))
        async with IdempotentProducer(connection) as producer:
            await producer.append(topics.definitions, 0, [OutRecord(key=b"pair@1", value=definition)])
        await known.catch_up()
        owned = Owned([Served(0, None)])
        looking = watch.Watch(log, topics, owned, known, stuck_after_ms=1_000)

        def at(requests: int) -> None:
            owned.shards[0].progress = Progress(
                requests=requests, results=0, timers=0, now=NOW_MS, backlog=Backlog(known)
            )

        yield looking, at, topics, owned


async def test_lag_has_a_number_and_an_age(connection, watched) -> None:
    """Both are those of the records behind the position, and nothing once all is taken in, or the shard is gone."""
    looking, at, topics, owned = watched
    async with IdempotentProducer(connection) as producer:
        for text in ("a", "b", "c"):
            await producer.append(topics.requests, 0, [record(text)])
    where = {"topic": topics.requests, "partition": "0"}
    at(1)
    await looking.look()
    assert _shown("actionbus_consumer_lag_records", **where) == 2
    age = _shown("actionbus_consumer_lag_age_seconds", **where)
    assert age is not None
    assert 0 < age < NOW_MS / 1000
    at(3)
    await looking.look()
    assert _shown("actionbus_consumer_lag_records", **where) == 0
    assert _shown("actionbus_consumer_lag_age_seconds", **where) == 0
    owned.shards.clear()
    await looking.look()
    assert _shown("actionbus_consumer_lag_records", **where) is None
    assert _shown("actionbus_lso_lag_seconds", **where) is None


async def test_markers_of_transactions_are_no_lag(connection, prefix, watched) -> None:
    """What a transaction leaves behind its records waits for nobody."""
    looking, at, topics, _ = watched
    producer = AIOKafkaProducer(bootstrap_servers=connection.bootstrap_servers, transactional_id=f"{prefix}.theirs")
    await producer.start()
    async with producer.transaction():
        await (await producer.send(topics.requests, b"a", partition=0))
    await producer.stop()
    at(1)
    await looking.look()
    assert _shown("actionbus_consumer_lag_records", topic=topics.requests, partition="0") == 0


async def test_an_open_transaction_is_seen_for_as_long_as_it_holds_back(
    connection, prefix, watched, monkeypatch
) -> None:
    """Its age rises while readers stand before it, and is nothing before it began and once it has ended."""
    looking, at, topics, _ = watched
    clock = [1_000.0]
    monkeypatch.setattr(watch.time, "monotonic", lambda: clock[0])
    where = {"topic": topics.events, "partition": "0"}
    at(0)
    await looking.look()
    assert _shown("actionbus_lso_lag_seconds", **where) == 0
    producer = AIOKafkaProducer(bootstrap_servers=connection.bootstrap_servers, transactional_id=f"{prefix}.open")
    await producer.start()
    await producer.begin_transaction()
    await (await producer.send(topics.events, b"a", partition=0))
    for seconds in (0, 30, 70):
        clock[0] = 1_000 + seconds
        await looking.look()
        assert _shown("actionbus_lso_lag_seconds", **where) == seconds
    await producer.abort_transaction()
    await producer.stop()
    for _ in range(1_000):
        await looking.look()
        if _shown("actionbus_lso_lag_seconds", **where) == 0:
            break
    assert _shown("actionbus_lso_lag_seconds", **where) == 0


async def test_what_is_deployed_is_shown_before_it_is_used(watched) -> None:
    """Each action and workflow has its backlog and its stuck runs from the beginning, as zero."""
    looking, at, _, _ = watched
    at(0)
    await looking.look()
    assert _shown("actionbus_action_backlog_records", action="undo-two") == 0
    assert _shown("actionbus_action_backlog_age_seconds", action="undo-two") == 0
    assert _shown("actionbus_runs_stuck", workflow="pair") == 0
