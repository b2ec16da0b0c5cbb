"""An installation whose orchestrator is small, and a client of it."""

import pytest

from actionbus.client import Client
from actionbus.contracts.decisions import Pause, Rule
from actionbus.contracts.nodes import SequenceNode, SleepNode, WaitNode
from actionbus.kafka.connection import Connection
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
