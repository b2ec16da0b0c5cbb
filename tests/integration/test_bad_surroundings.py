"""What surrounds the services and is wrong: brokers, credentials, rights, partitions, what stands in the state topic.

Each time a process says in one sentence what is wrong, and what is not concerned goes on.
"""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from actionbus.client import Client
from actionbus.contracts.errors import RunFailed
from actionbus.contracts.headers import kind_of
from actionbus.contracts.records import OutRecord
from actionbus.contracts.topics import Topics
from actionbus.kafka.admin import Admin, TopicPlan
from actionbus.kafka.codec import SINGLE_OBJECT
from actionbus.kafka.partitioning import partition_for
from actionbus.kafka.producer import IdempotentProducer
from actionbus.kafka.reader import PartitionReader
from integration.installation import Installation, Service, connection
from integration.orders import WAIT_SECONDS, until
from support import apache_kafka as kafka_process
from support import kafka_jars
from support.ports import free_ports

MISHAPS = Path(__file__).with_name("mishaps_app.py")
ENDED_SECONDS = 120.0
ADMIN = ("admin", "a")
APP = ("app", "b")


@contextmanager
def _installed(bootstrap: str, prefix: str, folder: Path, **rest) -> Iterator[Installation]:
    """Where an installation of the mishaps may run; nothing is made or started."""
    extra = {"MISHAPS_TOPIC": f"{prefix}-greetings"}
    made = Installation(bootstrap=bootstrap, prefix=prefix, folder=folder, app=MISHAPS, extra=extra, **rest)
    try:
        yield made
    finally:
        made.close()


async def _prepare(made: Installation) -> None:
    """Topics and definitions, and the topics that the actions emit to."""
    async with Admin(made.connection) as admin:
        names = (f"{made.prefix}-greetings", f"{made.prefix}-greetings-gone")
        await admin.create_topics([TopicPlan(name=name, partitions=4) for name in names])
    await asyncio.to_thread(made.prepare)


def _last_words(service: Service) -> tuple[int, str]:
    """The exit code of a service that gives up, and the sentence in the last line of its log."""
    code = service.process.wait(ENDED_SECONDS)
    assert "Traceback" not in service.output
    return code, json.loads(service.output.splitlines()[-1])["error"]


@pytest.mark.parametrize("kind", ["orchestrator", "worker"])
def test_a_broker_that_is_not_there_ends_a_service_with_a_sentence(kind: str, tmp_path: Path) -> None:
    """At its start a service that reaches no broker names the address and ends with 1: who starts it tries again."""
    (port,) = free_ports(1)
    with _installed(f"127.0.0.1:{port}", "nowhere", tmp_path) as made:
        code, sentence = _last_words(getattr(made, kind)())
        assert code == 1
        assert sentence == f"no Kafka broker answers at 127.0.0.1:{port}: start it, or correct the address"


@pytest.mark.kafka
@pytest.mark.parametrize("kind", ["orchestrator", "worker"])
def test_a_cluster_without_the_topics_ends_a_service_with_a_sentence(
    broker, prefix: str, kind: str, tmp_path: Path
) -> None:
    """A service that finds no topics of its prefix says what makes them and ends with 2: trying again does not help."""
    with _installed(broker.bootstrap, prefix, tmp_path) as made:
        code, sentence = _last_words(getattr(made, kind)())
        assert code == 2
        assert prefix in sentence
        assert "actionbus topics apply" in sentence


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest):
    """A Kafka that asks for a password; what no rule is made for is allowed to everybody."""
    request.getfixturevalue("apache_kafka")  # skips, visibly, where Java is missing
    users = " ".join(f'user_{user}="{password}"' for user, password in (ADMIN, APP))
    settings = {
        "listener.security.protocol.map": "PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "listener.name.plaintext.plain.sasl.jaas.config": (
            "org.apache.kafka.common.security.plain.PlainLoginModule required "
            f'username="{ADMIN[0]}" password="{ADMIN[1]}" {users};'
        ),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
        "super.users": f"User:{ADMIN[0]};User:ANONYMOUS",
    }
    with kafka_process.running(tmp_path_factory.mktemp("guarded"), settings=settings) as cluster:
        yield cluster


@pytest.mark.java
@pytest.mark.parametrize("kind", ["orchestrator", "worker"])
def test_wrong_credentials_end_a_service_with_a_sentence(guarded, prefix: str, kind: str, tmp_path: Path) -> None:
    """A wrong password is said, with the address, and ends a service with 2; the password is said nowhere."""
    with _installed(guarded.bootstrap, prefix, tmp_path, login=("app", "not-the-password")) as made:
        service = getattr(made, kind)()
        code, sentence = _last_words(service)
        assert code == 2
        assert guarded.bootstrap in sentence
        assert "refused the user name or password" in sentence
        assert "not-the-password" not in service.output


def _allow_looking_only(bootstrap: str, topic: str, folder: Path) -> None:
    """Let the app's user see the topic, and do nothing else with it."""
    login = (
        f'org.apache.kafka.common.security.plain.PlainLoginModule required username="{ADMIN[0]}" password="{ADMIN[1]}";'
    )
    config = folder / "admin.properties"
    config.write_text(f"security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.jaas.config={login}\n")
    subprocess.run(
        [
            *(kafka_jars.java(), "-Xmx128m", "-cp", str(kafka_jars.jars() / "*"), "org.apache.kafka.tools.AclCommand"),
            *("--bootstrap-server", bootstrap, "--command-config", str(config), "--add"),
            *("--allow-principal", f"User:{APP[0]}", "--operation", "Describe", "--topic", topic),
        ],
        check=True,
        capture_output=True,
        timeout=ENDED_SECONDS,
    )


@pytest.mark.java
async def test_an_emit_that_the_broker_does_not_allow_fails_its_run_only(guarded, prefix: str, tmp_path: Path) -> None:
    """Rights that are missing for one topic cost the run that emits to it; runs beside it are published and complete."""
    with _installed(guarded.bootstrap, prefix, tmp_path, login=APP, shards=1) as made:
        await _prepare(made)
        await asyncio.to_thread(_allow_looking_only, guarded.bootstrap, f"{prefix}-greetings-gone", tmp_path)
        made.orchestrator()
        made.worker()
        await asyncio.to_thread(made.wait_ready)
        async with Client(made.connection, prefix=prefix) as client:
            refused = await client.start("emit-to-a-topic-that-is-gone", "you")
            beside = [await client.start("greet", "you", run_id=f"beside-{n}") for n in range(5)]
            with pytest.raises(RunFailed, match=r"EmitRefused.*does not allow it"):
                await refused.result(WAIT_SECONDS)
            assert [await handle.result(WAIT_SECONDS) for handle in beside] == ["hello you"] * 5
        published = []
        async with PartitionReader(connection(guarded.bootstrap, ADMIN)) as reader:
            for partition in range(4):
                async for page in reader.read_to_end(f"{prefix}-greetings", partition):
                    published += [record.key.decode() for record in page]
        assert sorted(published) == [f"beside-{n}" for n in range(5)]


async def _grow(bootstrap: str, *topics: str) -> None:
    """Give topics eight partitions."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_partitions({topic: NewPartitions(8) for topic in topics})
    finally:
        await admin.close()


@pytest.mark.java
async def test_another_number_of_shards_is_refused(apache_kafka, prefix: str, tmp_path: Path) -> None:
    """Partitions that somebody added to one topic of the shards, or to all, stop every shard with a clear sentence."""
    topics = Topics(prefix)
    with _installed(apache_kafka.bootstrap, prefix, tmp_path) as made:
        await _prepare(made)
        first = made.orchestrator("first")
        await asyncio.to_thread(made.wait_ready)
        assert await asyncio.to_thread(first.stop) == 0
        await _grow(made.bootstrap, topics.requests)
        code, sentence = await asyncio.to_thread(_last_words, made.orchestrator("second"))
        assert code == 2
        assert "must have the same number of partitions" in sentence
        assert f"{topics.requests} has 8" in sentence
        await _grow(made.bootstrap, topics.results, topics.state, topics.events)
        third = made.orchestrator("third")

        async def all_refused() -> bool:
            _, page = await asyncio.to_thread(third.get, "/ready")
            return page.count("was made with 4 shards") == 8

        await until(all_refused, "all eight shards say that there are four")
        assert third.process.poll() is None

        async def none_owned() -> bool:
            return await asyncio.to_thread(third.metric, "actionbus_shards_owned") == 0

        await until(none_owned, "the metric that an alert watches counts no stopped shard")


@pytest.mark.kafka
async def test_a_state_of_a_newer_version_stops_its_shard_and_says_so(broker, prefix: str, tmp_path: Path) -> None:
    """It stops one shard, which says so; the others go on, also over junk, which is passed over."""
    topics = Topics(prefix)
    key = next(name for name in (f"newer-{n}" for n in range(100)) if partition_for(name.encode(), 4) == 0).encode()
    newer = OutRecord(key=key, value=SINGLE_OBJECT + b"tomorrow", headers=(("ce_type", kind_of("WorkflowRun")),))
    other = next(name for name in (f"run-{n}" for n in range(100)) if partition_for(name.encode(), 4) == 1)
    with _installed(broker.bootstrap, prefix, tmp_path) as made:
        await _prepare(made)
        made.worker()
        async with IdempotentProducer(made.connection) as producer, Client(made.connection, prefix=prefix) as client:
            await producer.append(topics.state, 0, [newer])
            for partition in range(4):
                await producer.append(topics.state, partition, [OutRecord(key=b"junk", value=b"\x00junk")])
            orchestrator = made.orchestrator()

            async def said() -> bool:
                status, page = await asyncio.to_thread(orchestrator.get, "/ready")
                return status == 503 and "shard 0" in page and "newer version" in page

            await until(said, "the orchestrator says which shard was written by a newer version")
            handle = await client.start("greet", "you", run_id=other)
            assert await handle.result(WAIT_SECONDS) == "hello you"
