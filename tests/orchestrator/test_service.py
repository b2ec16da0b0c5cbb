"""The orchestrator as a service on real brokers: it refuses an unfit cluster, shares shards, and leaves in good order."""

import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from actionbus.client import Client
from actionbus.contracts.definitions import WorkflowDefinition
from actionbus.contracts.errors import SettingsRefused
from actionbus.contracts.records import OutRecord
from actionbus.contracts.topics import Topics
from actionbus.kafka.admin import Admin, TopicPlan
from actionbus.kafka.codec import Codec
from actionbus.kafka.connection import Connection
from actionbus.kafka.producer import IdempotentProducer
from actionbus.orchestrator.service import Orchestrator
from actionbus.orchestrator.shard import Stage
from actionbus.process import metrics
from actionbus.process.settings import Settings
from actionbus.provisioner import topics as provisioner
from protocol.world import pair

pytestmark = pytest.mark.kafka
SHARDS = 4
SECONDS = 240.0


@pytest.fixture
def settings(connection: Connection, prefix: str, tmp_path: Path) -> Settings:
    """Settings of one installation."""
    return Settings(
        prefix=prefix,
        kafka={"bootstrap_servers": connection.bootstrap_servers},
        orchestrator={"state_dir": tmp_path},
    )


@pytest.fixture
async def installed(connection: Connection, settings: Settings) -> Topics:
    """The topics, and one workflow that nobody works for."""
    names, graph = Topics(settings.prefix), pair()
    wanted = provisioner.Wanted(
        prefix=settings.prefix, actions=list(graph.actions.values()), shards=SHARDS, action_partitions=1, replication=1
    )
    async with Admin(connection) as admin:
        await provisioner.apply(admin, await provisioner.look(admin, wanted))
    definition = Codec().encode(WorkflowDefinition.of(graph, deployed_at=0, deployed_by="test"))
    async with IdempotentProducer(connection) as producer:
        await producer.append(names.definitions, 0, [OutRecord(key=b"pair@1", value=definition)])
    return names


@asynccontextmanager
async def _serving(settings: Settings, state_dir: Path):
    """An orchestrator, released at the end."""
    orchestrator = Orchestrator(
        settings.model_copy(update={"orchestrator": settings.orchestrator.model_copy(update={"state_dir": state_dir})})
    )
    stop = asyncio.Event()
    task = asyncio.create_task(orchestrator.serve(stop))
    try:
        yield orchestrator, stop, task
    finally:
        stop.set()
        await task


def _served(orchestrator: Orchestrator) -> set[int]:
    ownership = orchestrator._ownership
    return {each.number for each in ownership.shards if each.stage is Stage.SERVING} if ownership else set()


async def _until(condition) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110 - what is waited for is another service's state
            await asyncio.sleep(0.02)


async def test_an_installation_without_topics_is_refused(settings: Settings) -> None:
    """It says which topic is missing, and what makes it."""
    with pytest.raises(SettingsRefused, match=r"workflow\.requests\.v1 is missing.*topics apply"):
        await Orchestrator(settings).serve(asyncio.Event())


async def test_topics_with_different_numbers_of_partitions_are_refused(
    settings: Settings, connection: Connection
) -> None:
    """A shard needs the same partition of all four."""
    names = Topics(settings.prefix)
    plans = [TopicPlan(name=name, partitions=3) for name in (names.requests, names.results, names.state)]
    async with Admin(connection) as admin:
        await admin.create_topics([*plans, TopicPlan(name=names.events, partitions=2)])
    with pytest.raises(SettingsRefused, match="same number of partitions"):
        await Orchestrator(settings).serve(asyncio.Event())


@pytest.mark.java
@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"max.message.bytes": "1000"}, r"events.*batches of 1000 bytes"),
        ({"unclean.leader.election.enable": "true"}, r"events.*lacks acknowledged records"),
    ],
)
async def test_a_topic_with_a_setting_that_does_harm_is_refused(
    apache_kafka, prefix: str, tmp_path: Path, setting: dict[str, str], said: str
) -> None:
    """Found at the start, and not by the first large batch, or the first election."""
    connection = Connection(bootstrap_servers=apache_kafka.bootstrap)
    settings = Settings(
        prefix=prefix, kafka={"bootstrap_servers": apache_kafka.bootstrap}, orchestrator={"state_dir": tmp_path}
    )
    names = Topics(prefix)
    plans = [
        TopicPlan(name=name, partitions=1, settings=setting if name == names.events else {})
        for name in (names.requests, names.results, names.state, names.events)
    ]
    async with Admin(connection) as admin:
        await admin.create_topics(plans)
    with pytest.raises(SettingsRefused, match=said):
        await Orchestrator(settings).serve(asyncio.Event())


@pytest.mark.usefixtures("installed")
async def test_two_share_the_shards_and_one_leaves(settings: Settings, connection: Connection, tmp_path: Path) -> None:
    """Each shard is served by one of them; what one leaves the other serves; runs are started all the while."""
    everything = set(range(SHARDS))
    async with Client(connection, settings.prefix) as client, _serving(settings, tmp_path / "1") as (first, _, _):
        await _until(lambda: _served(first) == everything and not first.not_ready())
        await asyncio.gather(*(client.start("pair", run_id=f"a{number}") for number in range(20)))
        async with _serving(settings, tmp_path / "2") as (second, leave, left):
            await _until(lambda: _served(first) | _served(second) == everything and bool(_served(second)))
            assert not _served(first) & _served(second)
            await asyncio.gather(*(client.start("pair", run_id=f"b{number}") for number in range(20)))
            leave.set()
            await left
            await _until(lambda: _served(first) == everything)
            await asyncio.gather(*(client.start("pair", run_id=f"c{number}") for number in range(20)))
        assert metrics.SHARDS_OWNED._value.get() == SHARDS


@pytest.mark.usefixtures("installed")
async def test_a_restart_goes_on_from_its_own_cache(settings: Settings, connection: Connection, tmp_path: Path) -> None:
    """Runs that were started before it left are known after it came back: their ids are taken."""
    async with Client(connection, settings.prefix) as client:
        for _ in range(2):
            async with _serving(settings, tmp_path / "1") as (orchestrator, _, _):
                await _until(lambda: len(_served(orchestrator)) == SHARDS)
                await asyncio.gather(
                    *(client.start("pair", run_id=f"r{number}", request_id="same") for number in range(20))
                )
    assert len(list((tmp_path / "1" / settings.prefix).glob("shard-*"))) == SHARDS
