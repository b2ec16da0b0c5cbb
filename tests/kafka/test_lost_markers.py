"""Kafka completes a transaction without a marker in a partition that has no leader: what we do about it.

All cases meet one outage of a real cluster: topics with a single copy, on a broker that dies when it has the records of
their transactions, and before these end.
"""

import asyncio
import itertools
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest

from actionbus.contracts.errors import Doubt, Unavailable
from actionbus.kafka import cluster, markers
from actionbus.kafka.admin import Admin, TopicPlan
from actionbus.kafka.cluster import Cluster
from actionbus.kafka.connection import Connection
from actionbus.kafka.reader import PartitionReader
from actionbus.kafka.transaction import TransactionalProducer
from support.topics import SECONDS, record, values

pytestmark = [pytest.mark.kafka, pytest.mark.java, pytest.mark.slow, pytest.mark.timeout(900)]
COMMITTED = ("successor", "interrupted", "unknown", "stranger", "live")
ABORTED = ("abandoned",)
PAUSE = 0.1


@dataclass(frozen=True, kw_only=True)
class Outage:
    """What it left behind: by case, the place of its record and its transactional id."""

    connection: Connection
    places: dict[str, tuple[str, int]]
    ids: dict[str, str]
    doubt: Exception
    """Of the holder that lived through it and went on."""
    refusal: Exception
    """Of who wanted to take an id over while its partition did not answer."""

    @asynccontextmanager
    async def taken(self, case: str, *, own: bool = True):
        """The id of a case, taken over."""
        places = [self.places[case]] if own else []
        producer = TransactionalProducer(self.connection, self.ids[case], own=places)
        await producer.start()
        try:
            yield producer
        finally:
            await producer.close()

    async def held(self, case: str) -> bool:
        """Whether readers of committed records are held back."""
        place = self.places[case]
        async with PartitionReader(self.connection) as reader:
            ends = [await reader.ends([place], committed=committed) for committed in (True, False)]
        return ends[0][place] < ends[1][place]

    async def written(self, producer: TransactionalProducer, case: str) -> list[str]:
        """All that can be read once one more record stands behind it."""
        topic, partition = self.places[case]
        producer.begin()
        producer.append(topic, partition, [record("last")])
        await producer.commit()
        return await values(self.connection, topic, partition, last="last")


@pytest.fixture(scope="module")
def outage(apache_kafka_3):
    """The broker of all places is back, and Kafka regards every transaction as completed."""
    return asyncio.run(_outage(apache_kafka_3))


async def _outage(kafka) -> Outage:
    connection = Connection(bootstrap_servers=kafka.bootstrap)
    node, dead, ended = kafka.nodes[0], asyncio.Event(), asyncio.Event()
    async with Cluster(connection) as brokers, Admin(connection) as admin, asyncio.timeout(SECONDS * 2):
        while len((await admin.describe_cluster()).brokers) < len(kafka.nodes):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(PAUSE)  # a broker takes connections before partitions are placed on it
        places = {case: await _place(admin, brokers, case, node.number) for case in (*COMMITTED, *ABORTED)}
        ids = {case: await _id(brokers, case, node.number) for case in places}
        producers = {case: TransactionalProducer(connection, ids[case], commit_seconds=SECONDS) for case in places}
        ready = asyncio.Semaphore(0)

        async def ending(_, end):
            ready.release()
            await dead.wait()
            await end

        async def abandoning(_, end):
            end.close()
            ready.release()
            await ended.wait()
            raise Doubt("it died")

        for case, producer in producers.items():
            producer._ending = ending if case in COMMITTED else abandoning
            await producer.start()
            producer.begin()
            producer.append(*places[case], [record("first")])
        commits = {case: asyncio.create_task(producer.commit()) for case, producer in producers.items()}
        for _ in commits:
            await ready.acquire()
        kafka.kill_node(node)
        dead.set()
        await asyncio.gather(*(commits[case] for case in COMMITTED))
        with pytest.raises(Unavailable) as refusal:
            await TransactionalProducer(connection, ids["abandoned"], own=[places["abandoned"]]).start()
        for case in places:  # the coordinator aborts by itself what nobody ends
            await _until(brokers, ids[case], "CompleteCommit" if case in COMMITTED else "CompleteAbort")
        ended.set()
        await asyncio.gather(*commits.values(), return_exceptions=True)
        kafka.start_node(node, wait=False)
        await asyncio.to_thread(kafka.wait_for, node)
        async with PartitionReader(connection) as reader:
            while len(await reader.ends(places.values())) < len(places):  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(PAUSE)
        live = producers["live"]
        live._ending = None
        live.begin()
        live.append(*places["live"], [record("second")])
        with pytest.raises(Doubt) as doubt:
            await live.commit()
        for producer in producers.values():
            await producer.close()
    return Outage(connection=connection, places=places, ids=ids, doubt=doubt.value, refusal=refusal.value)


async def _place(admin, brokers, case, number):
    """A partition with one copy, on that node."""
    name = f"lost-{case}"
    plan = TopicPlan(name=name, partitions=3, replication=1, settings={"min.insync.replicas": "1"})
    await admin.create_topics([plan])
    for partition in range(3):
        if await brokers.find_leader(name, partition) == number:
            return name, partition
    raise AssertionError("a node leads none of three")


async def _id(brokers, case, number):
    """A transactional id that another node coordinates."""
    for each in itertools.count():
        name = f"lost-{case}-{each}"
        if await brokers.coordinator("transaction", name) != number:
            return name
    raise AssertionError


async def _until(brokers, transactional_id, state):
    while True:
        with suppress(*cluster.Silence, Unavailable):
            found = await markers.last_transaction(brokers, transactional_id)
            if found is not None and found.state == state:
                return
        await asyncio.sleep(PAUSE)


async def test_the_next_holder_ends_a_committed_one_by_a_commit(outage):
    """Its record can be read, and what follows."""
    assert await outage.held("successor")
    async with outage.taken("successor") as producer:
        await producer.clear()
        assert not await outage.held("successor")
        assert await outage.written(producer, "successor") == ["first", "last"]


async def test_the_next_holder_ends_an_aborted_one_by_an_abort(outage):
    """Its record is never read, and what follows is."""
    assert await outage.held("abandoned")
    async with outage.taken("abandoned") as producer:
        await producer.clear()
        assert not await outage.held("abandoned")
        assert await outage.written(producer, "abandoned") == ["last"]


async def test_one_takeover_that_was_interrupted_hides_nothing(outage):
    """Who took the id over and died before it ended anything leaves enough to know."""
    async with outage.taken("interrupted"):
        assert await outage.held("interrupted")
    async with outage.taken("interrupted") as producer:
        await producer.clear()
        assert await outage.written(producer, "interrupted") == ["first", "last"]


async def test_what_nobody_knows_is_left_to_a_person(outage):
    """After two interrupted takeovers it may have been either; nothing is begun, and nothing is guessed."""
    for _ in range(2):
        async with outage.taken("unknown"):
            pass
    async with outage.taken("unknown") as producer:
        with pytest.raises(Unavailable, match="nobody knows whether it was to be committed"):
            await producer.clear()
    assert await outage.held("unknown")


async def test_topics_of_others_are_cleared_as_well(outage):
    """Named as a whole topic, and one that is not there keeps nobody waiting."""
    async with outage.taken("stranger", own=False) as producer:
        await producer.clear([outage.places["stranger"][0], "lost-nowhere"])
        assert not await outage.held("stranger")
        assert await outage.written(producer, "stranger") == ["first", "last"]


async def test_a_holder_begins_nothing_before_its_last_markers_stand(outage):
    """Else the abort of the next transaction would take a committed one back."""
    assert "the last transaction" in str(outage.doubt)
    async with outage.taken("live") as producer:
        await producer.clear()
        assert await outage.written(producer, "live") == ["first", "last"]


async def test_a_missing_marker_is_told_from_somebody_elses_open_transaction(outage, monkeypatch):
    """Both hold readers back; only the holder of the id has to wait, and to care."""
    place = outage.places["unknown"]
    async with Cluster(outage.connection) as brokers:
        found = await markers.last_transaction(brokers, outage.ids["unknown"])
        monkeypatch.setattr(markers, "PATIENCE_SECONDS", SECONDS)
        assert await markers.missing(brokers, found.producer_id + 1_000_000, {place: 0}) == []
        monkeypatch.setattr(markers, "PATIENCE_SECONDS", 0.0)
        assert await markers.missing(brokers, found.producer_id, {place: 0}) == [place]


async def test_an_id_is_not_taken_over_while_a_partition_of_it_does_not_answer(outage):
    """Each takeover makes the coordinator forget more of what it knows."""
    assert outage.places["abandoned"][0] in str(outage.refusal)


async def test_the_broker_for_development_has_nothing_to_clear(embedded_broker, prefix):
    """It knows none of these questions, and writes every marker."""
    connection = Connection(bootstrap_servers=embedded_broker)
    async with Admin(connection) as admin:
        await admin.create_topics([TopicPlan(name=prefix, partitions=1)])
    for each in ("1", "2", "3"):
        producer = TransactionalProducer(connection, f"{prefix}.a", own=[(prefix, 0)])
        await producer.start()
        await producer.clear([prefix])
        for _ in range(2):
            producer.begin()
            producer.append(prefix, 0, [record(each)])
            await producer.commit()
        await producer.close()
    assert await values(connection, prefix, count=6) == ["1", "1", "2", "2", "3", "3"]
