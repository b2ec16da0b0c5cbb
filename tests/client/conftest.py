"""An installation whose orchestrator is small, and a client of it; a whole one beside it, with a gateway."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from actionbus.client import Client
from actionbus.contracts.decisions import Pause, Rule
from actionbus.contracts.nodes import SequenceNode, SleepNode, WaitNode
from actionbus.kafka.connection import Connection
from cli.gateway_process import ReadSide
from cli.installed import Dev
from client.answering import HELLO, TWO, Answering, graph


def _asks():
    """A workflow that does one thing which may get stuck, asks for a name and sleeps."""
    made = graph("asks", "first")
    (first,) = made.root.nodes
    nodes = (
        first.model_copy(update={"rules": (Rule(then=Pause()),)}),
        WaitNode(id="ask", signal="name", payload_schema={"type": "string"}),
        SleepNode(id="night", for_ms=3_600_000),
    )
    root = SequenceNode(id="root", nodes=nodes)
    return made.model_copy(update={"root": root, "output": {"$ref": ["steps", "ask"]}, "input_schema": {}})


def _renamed():
    """The second version of TWO: its first step has another id, and its output is another one."""
    first, *others = TWO.root.nodes
    root = SequenceNode(id="root", nodes=(first.model_copy(update={"id": "begun"}), *others))
    return TWO.model_copy(update={"version": "2", "root": root, "output": ["Ada was here"]})


@pytest.fixture
async def orchestrator(connection: Connection, prefix: str):
    """Topics, and somebody who answers."""
    async with Answering(connection, prefix, [HELLO, TWO, _asks(), _renamed()]) as answering:
        answering.begin()
        yield answering


@pytest.fixture
async def client(orchestrator: Answering, connection: Connection, prefix: str):  # noqa: ARG001 - it answers
    """A client of that installation."""
    async with Client(connection, prefix) as made:
        yield made


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Dev, ReadSide]]:
    """Broker, orchestrator, worker, projector and gateway, each as it is installed."""
    folder = tmp_path_factory.mktemp("contract")
    shutil.copy(Path(__file__).with_name("contract_app.py"), folder / "app.py")
    dev = Dev(folder, "app.py")
    beside = ReadSide(dev)
    try:
        dev.start("--no-reload")
        beside.start()
        yield dev, beside
    finally:
        beside.close()
        dev.close()
