"""What a person reads when a cluster cannot be reached, and what every connection has in common."""

import asyncio
import hashlib
import inspect
import socket

import aiokafka
import pytest
import uvloop
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from pydantic import SecretStr

from actionbus.contracts.errors import AccessRefused, SettingsRefused, Unavailable
from actionbus.kafka.cluster import Cluster
from actionbus.kafka.connection import Connection
from actionbus.kafka.transaction import TransactionalProducer
from support import apache_kafka as kafka_process


async def test_no_broker_is_told_with_its_address():
    """Where nothing listens, the message names the address and what to do."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.raises(Unavailable, match=f"no Kafka broker answers at {address}: start it"):
            await Cluster(Connection(bootstrap_servers=address)).start()


async def test_one_address_of_several_is_enough(broker):
    """A dead address beside a live one does no harm."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        dead = f"127.0.0.1:{nobody.getsockname()[1]}"
        async with Cluster(Connection(bootstrap_servers=f"{dead},{broker.bootstrap}")) as cluster:
            assert cluster.any_node() is not None


def test_missing_credentials_are_told():
    """SASL without a user name or password is refused before anything is opened."""
    connection = Connection(bootstrap_servers="x:1", security_protocol="SASL_PLAINTEXT", sasl_username="me")
    with pytest.raises(SettingsRefused, match="needs a SASL user name and a password"):
        connection.arguments()


def test_unusable_files_are_told(tmp_path):
    """TLS files that cannot be read are refused with the reason."""
    connection = Connection(bootstrap_servers="x:1", security_protocol="SSL", ssl_cafile=str(tmp_path / "none.pem"))
    with pytest.raises(SettingsRefused, match="TLS files cannot be used"):
        connection.arguments()


def test_a_password_is_not_shown():
    """Printing a connection never prints its password."""
    connection = Connection(bootstrap_servers="x:1", sasl_username="me", sasl_password=SecretStr("hunter2"))
    assert "hunter2" not in repr(connection) + str(connection) + connection.model_dump_json()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, request):
    """A Kafka that asks for a password, and allows `alice` nothing."""
    request.getfixturevalue("apache_kafka")  # skips, visibly, where Java is missing
    jaas = (
        "org.apache.kafka.common.security.plain.PlainLoginModule required "
        'username="admin" password="a" user_admin="a" user_alice="b";'
    )
    settings = {
        "listener.security.protocol.map": "PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "listener.name.plaintext.plain.sasl.jaas.config": jaas,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:admin;User:ANONYMOUS",
    }
    with kafka_process.running(tmp_path_factory.mktemp("guarded"), settings=settings) as cluster:
        yield cluster


def _as(cluster, user: str, password: str, **rest) -> Connection:
    values = {"security_protocol": "SASL_PLAINTEXT", "sasl_username": user, "sasl_password": password} | rest
    return Connection(bootstrap_servers=cluster.bootstrap, **values)


@pytest.mark.java
async def test_wrong_credentials_are_told(guarded):
    """A wrong password, an unknown mechanism and a missing login are each said, with the address."""
    with pytest.raises(AccessRefused, match=f"{guarded.bootstrap}.*refused the user name or password"):
        await Cluster(_as(guarded, "alice", "wrong")).start()
    with pytest.raises(AccessRefused, match="does not offer this SASL mechanism"):
        await Cluster(_as(guarded, "alice", "b", sasl_mechanism="SCRAM-SHA-512")).start()
    with pytest.raises(Unavailable, match="wants another security protocol"):
        await Cluster(Connection(bootstrap_servers=guarded.bootstrap)).start()


@pytest.mark.java
async def test_what_is_not_allowed_is_told(guarded):
    """A user without access is refused by name of what it asked for, at the start."""
    producer = TransactionalProducer(_as(guarded, "alice", "b"), "actionbus.shard.0.a")
    with pytest.raises(AccessRefused, match=r"actionbus\.shard\.0\.a.*does not allow it"):
        await producer.start()
    async with Cluster(_as(guarded, "alice", "b")) as cluster:
        with pytest.raises(AccessRefused, match="topic secrets"):
            await cluster.partitions("secrets")
    async with Cluster(_as(guarded, "admin", "a")) as cluster:
        assert cluster.any_node() is not None


def test_small_frames_leave_at_once(apache_kafka):
    """Every connection has TCP_NODELAY, on asyncio's own loop and on uvloop."""

    async def options() -> list[int]:
        async with Cluster(Connection(bootstrap_servers=apache_kafka.bootstrap)) as cluster:
            await cluster.refresh()
            connections = list(cluster.client._conns.values())
            sockets = [each._writer.get_extra_info("socket") for each in connections]
            return [each.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for each in sockets]

    for run in (asyncio.run, uvloop.run):
        found = run(options())
        assert found
        assert all(found)


def _digest(function) -> str:
    return hashlib.sha256(inspect.getsource(function).encode()).hexdigest()[:16]


def test_the_library_sends_a_request_once():
    """EndTxn leaves once because these two functions of the library repeat nothing; read them anew when they change."""
    assert aiokafka.__version__ == "0.14.0"
    assert (_digest(AIOKafkaClient.send), _digest(AIOKafkaConnection.send)) == (
        "246b277687d7b687",
        "5909ea32f4efca49",
    )


@pytest.mark.parametrize(
    ("library", "expected"),
    [("AIOKafkaClient._metadata_update", "06dc51ed3e0d38b8"), ("AIOKafkaClient._get_conn", "68ce5d8391719d33")],
)
def test_what_is_overridden_is_as_it_was(library: str, expected: str):
    """What this room replaces or reaches into has not changed under it."""
    assert _digest(getattr(AIOKafkaClient, library.partition(".")[2])) == expected
