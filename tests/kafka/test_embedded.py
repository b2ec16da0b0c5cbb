"""The broker for development: it starts, keeps what it stored, and ends with whoever started it."""

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
import textwrap
from contextlib import suppress
from importlib import util

import pytest

from actionbus.contracts.errors import SettingsRefused, Unavailable
from actionbus.kafka import embedded
from actionbus.kafka.connection import Connection
from actionbus.kafka.embedded import EmbeddedBroker
from actionbus.kafka.producer import IdempotentProducer
from support.topics import record, topic, values

pytestmark = pytest.mark.kafka


@pytest.fixture(autouse=True)
def _installed(embedded_broker):
    """Skips, visibly, where the broker is not installed."""


async def test_what_was_stored_survives_a_stop(tmp_path, prefix):
    """A broker that was asked to stop gives its records back after the next start."""
    async with EmbeddedBroker(tmp_path) as broker:
        connection = Connection(bootstrap_servers=broker.bootstrap_servers)
        name = await topic(connection, prefix)
        async with IdempotentProducer(connection) as producer:
            await producer.append(name, 0, [record("kept")])
    async with EmbeddedBroker(tmp_path) as broker:
        connection = Connection(bootstrap_servers=broker.bootstrap_servers)
        assert await values(connection, name, count=1) == ["kept"]


def test_it_dies_with_its_parent(tmp_path):
    """A parent that is killed leaves no broker behind."""
    program = f"""
        import asyncio, os, pathlib, signal
        from actionbus.kafka.embedded import EmbeddedBroker
        async def main():
            broker = EmbeddedBroker(pathlib.Path({str(tmp_path)!r}))
            await broker.start()
            print(broker._process.pid, flush=True)
            await asyncio.Event().wait()
        asyncio.run(main())
    """
    if sys.platform != "linux":
        pytest.skip("only Linux ends a child with its parent")
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True
    ) as parent:
        child = int(parent.stdout.readline())
        descriptor = os.pidfd_open(child)
        parent.kill()
    try:
        ended, _, _ = select.select([descriptor], [], [], 60)
        assert ended
    finally:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        os.close(descriptor)


async def test_a_port_in_use_is_told(tmp_path):
    """A broker that cannot have its port ends with its own words, not with a wait."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        broker = EmbeddedBroker(tmp_path, port=taken.getsockname()[1])
        with pytest.raises(Unavailable, match="ended while it started"):
            await broker.start()
        await broker.stop()


async def test_a_missing_extra_is_told(tmp_path, monkeypatch):
    """Without the dev extra the message says what to install."""
    monkeypatch.setattr(util, "find_spec", lambda _: None)
    with pytest.raises(SettingsRefused, match=r"pip install 'actionbus\[dev\]'"):
        await EmbeddedBroker(tmp_path).start()


def test_no_address_before_the_start(tmp_path):
    """The address is known only once a port was chosen."""
    with pytest.raises(SettingsRefused, match="before it is started"):
        _ = EmbeddedBroker(tmp_path).bootstrap_servers


async def test_stopping_twice_is_harmless(tmp_path):
    """Stop may be called at any time, any number of times."""
    broker = EmbeddedBroker(tmp_path)
    await broker.stop()
    await broker.start()
    await asyncio.gather(broker.stop(), broker.stop())
    assert embedded.binary().exists()
