"""What the doctor says of transactions that nobody ends, and of leaders that may lack records: on real Kafka."""

import asyncio
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from actionbus.cli import examination, session
from actionbus.cli.examination import Finding, Level
from actionbus.contracts.topics import Topics
from actionbus.kafka.admin import UNCLEAN_ELECTION, Admin, TopicPlan
from actionbus.kafka.connection import Connection
from actionbus.kafka.reader import PartitionReader
from actionbus.process.settings import Settings
from support import apache_kafka
from support.apache_kafka import ApacheKafka

pytestmark = [pytest.mark.kafka, pytest.mark.java]
COORDINATED = "__transaction_state"
SECONDS = 240.0  # no test depends on speed


async def _findings(bootstrap: str, prefix: str) -> list[Finding]:
    settings = Settings.model_validate({"prefix": prefix, "kafka": {"bootstrap_servers": bootstrap}})
    async with Admin(session.connection(settings)) as admin:
        made = examination.Examination(settings, admin)
        made._topics = await admin.topics(f"{prefix}.")
        return [each async for each in made._open_transactions()]


async def _made(bootstrap: str, prefix: str) -> str:
    """A state topic."""
    name = Topics(prefix).state
    async with Admin(Connection(bootstrap_servers=bootstrap)) as admin:
        await admin.create_topics([TopicPlan(name=name, partitions=1)])
    return name


async def _opened(bootstrap: str, topic: str, transactional_id: str, *, begin: bool = True) -> AIOKafkaProducer:
    """A producer with a transaction that is open, or with one that has ended."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=transactional_id)
    await producer.start()
    async with producer.transaction():
        await producer.send_and_wait(topic, b"ended", partition=0)
    if begin:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"open", partition=0)
    return producer


async def test_a_transaction_that_its_coordinator_knows_is_nobodys_fault(apache_kafka, prefix, monkeypatch) -> None:
    """While it is young all is well, then it is told of with its id; and once it has ended nothing is."""
    topic = await _made(apache_kafka.bootstrap, prefix)
    producer = await _opened(apache_kafka.bootstrap, topic, f"{prefix}-theirs")
    assert [each.level for each in await _findings(apache_kafka.bootstrap, prefix)] == [Level.OK]
    monkeypatch.setattr(examination, "HELD_BACK_MS", 0)
    (found,) = await _findings(apache_kafka.bootstrap, prefix)
    assert found.level is Level.WARNING
    assert f"{topic}, partition 0: readers see nothing from offset 2 on; {prefix}-theirs has its" in found.found
    await producer.abort_transaction()
    await producer.stop()
    async with asyncio.timeout(SECONDS):
        while (await _findings(apache_kafka.bootstrap, prefix))[0].found != "none holds readers back":  # noqa: ASYNC110 - markers tell nobody
            await asyncio.sleep(0.05)


@pytest.fixture
def own(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[ApacheKafka]:
    """A broker whose data may be damaged."""
    request.getfixturevalue("apache_kafka")  # skips, visibly, where Java is missing
    with apache_kafka.running(tmp_path / "kafka") as cluster:
        yield cluster


def _ended(cluster: ApacheKafka) -> list[Path]:
    """Stop the broker; where it keeps what its coordinator of transactions knows."""
    (node,) = cluster.nodes
    cluster.stop_node(node)
    return sorted((node.folder / "data").glob(f"{COORDINATED}-*"))


async def test_a_transaction_that_no_coordinator_knows_is_named_with_the_command_that_ends_it(
    own: ApacheKafka, prefix: str, tmp_path: Path
) -> None:
    """As after data that was copied while it was written: the coordinator's part is older than the partition's."""
    topic = await _made(own.bootstrap, prefix)
    producer = await _opened(own.bootstrap, topic, f"{prefix}-lost", begin=False)
    await producer.stop()
    for folder in _ended(own):
        shutil.copytree(folder, tmp_path / folder.name)
    own.start_node(own.nodes[0])
    producer = await _opened(own.bootstrap, topic, f"{prefix}-lost")
    for folder in _ended(own):
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / folder.name, folder)
    own.start_node(own.nodes[0])
    await producer.stop()
    (found,) = await _findings(own.bootstrap, prefix)
    assert found.level is Level.PROBLEM
    (offset,) = re.findall(rf"^{topic}, partition 0: readers see nothing from offset (\d+) on", found.found)
    assert "it never ends" in found.advice
    command = found.advice.partition("kafka-transactions.sh ")[2]
    assert command.endswith(f"abort --topic {topic} --partition 0 --start-offset {offset}")
    java = [*apache_kafka._java(128), "org.apache.kafka.tools.TransactionsCommand", *command.split()]
    done = await asyncio.to_thread(subprocess.run, java, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [each.found for each in await _findings(own.bootstrap, prefix)] == ["none holds readers back"]
    async with PartitionReader(Connection(bootstrap_servers=own.bootstrap)) as reader:
        values = [record.value async for page in reader.read_to_end(topic, 0) for record in page]
    assert values == [b"ended", b"ended"]


async def test_a_topic_that_may_lose_what_it_acknowledged_is_named(apache_kafka, prefix: str) -> None:
    """Its own setting goes before that of the brokers, so both are looked at."""
    topic = await _made(apache_kafka.bootstrap, prefix)
    settings = Settings.model_validate({"prefix": prefix, "kafka": {"bootstrap_servers": apache_kafka.bootstrap}})
    async with Admin(session.connection(settings)) as admin:
        await admin.alter_topics({topic: {UNCLEAN_ELECTION: "true"}})
        findings = [each async for each in examination.Examination(settings, admin)._own_topics()]
    (found,) = [each for each in findings if each.check == "unclean election"]
    assert (found.level, found.found) == (
        Level.PROBLEM,
        f"topic {topic} may get a leader that lacks acknowledged records",
    )
