"""Commands that ask a gateway: the same verbs and names, and what only a gateway can find."""

import json
import os
import pty
import subprocess

import pytest

from actionbus.contracts.dead_letters import dead_letter
from actionbus.contracts.records import InRecord, OutRecord
from actionbus.kafka.connection import Connection
from actionbus.kafka.producer import IdempotentProducer
from cli.gateway_process import ReadSide
from cli.installed import COMMAND, Dev

pytestmark = pytest.mark.kafka


def test_a_run_is_started_shown_and_cancelled(dev: Dev, way: list[str]) -> None:
    """A script need not know which way it goes."""
    name = f"both-{len(way)}"
    assert dev.json(*way, "runs", "start", "hello", '"Ada"', "--id", name, "--result") == "Hello, Ada!"
    assert dev.json(*way, "runs", "show", name)["output"] == "Hello, Ada!"
    assert "ended already" in dev.refused(4, *way, "runs", "cancel", name)
    assert "ended FAILED" in dev.command(*way, "runs", "start", "hello", '"nobody"', "--result").stderr


def test_live_runs_are_listed(dev: Dev, way: list[str]) -> None:
    """Without a filter both ways list those that live; a status names others."""
    name = f"listed-{len(way)}"
    dev.json(*way, "runs", "start", "wait", json.dumps(str(dev.folder / "never")), "--id", name)
    dev.until(lambda: name in [row["run_id"] for row in dev.json(*way, "runs", "list", "--workflow", "wait")])
    assert dev.json(*way, "runs", "list", "--status", "PAUSED", "--workflow", "wait") == []
    dev.json(*way, "runs", "terminate", name)
    dev.until(lambda: name not in [row["run_id"] for row in dev.json(*way, "runs", "list")])


def test_ended_runs_are_found_by_their_error(dev: Dev, gateway: ReadSide) -> None:
    """A gateway knows them; over Kafka the command says who does."""
    dev.command("runs", "start", "hello", '"nobody"', "--id", "erred", "--result")
    found: list[dict] = []

    def look() -> bool:
        found[:] = dev.json("--url", gateway.url, "runs", "list", "--error", "nobody to greet", "--status", "FAILED")
        return "erred" in [row["run_id"] for row in found]

    dev.until(look)
    assert all("nobody to greet" in row["error"] for row in found)
    assert "--url" in dev.refused(2, "runs", "list", "--error", "nobody")


def test_a_gateway_that_is_not_there_is_named(dev: Dev) -> None:
    """One sentence with its address, and the code for what may be tried again."""
    assert "no address of a gateway" in dev.refused(2, "runs", "list", ACTIONBUS_URL="nowhere")


def test_what_only_topics_hold_is_refused(dev: Dev, gateway: ReadSide) -> None:
    """The sentence says which option is to be left out."""
    said = dev.refused(2, "--url", gateway.url, "runs", "migrate", "--to", "2", "--workflow", "hello", "--from", "1")
    assert "--url" in said


def test_schedules_are_listed(dev: Dev, way: list[str]) -> None:
    """Those that have not ended."""
    name = f"daily-{len(way)}"
    dev.json(*way, "schedules", "create", name, "hello", '"Ada"', "--every", "6h")
    dev.until(lambda: name in [row["schedule_id"] for row in dev.json(*way, "schedules", "list")])
    dev.json(*way, "schedules", "delete", name)
    dev.until(lambda: name not in [row["schedule_id"] for row in dev.json(*way, "schedules", "list")])


async def test_dead_letters_are_listed_and_shown(dev: Dev, way: list[str]) -> None:
    """With their place, their reason and the very bytes that were found."""
    connection = Connection(bootstrap_servers=f"127.0.0.1:{dev.kafka_port}")
    topic = "actionbus.workflow.dead-letters.v1"
    key = f"letter-{len(way)}"
    found = InRecord(
        topic="actionbus.workflow.requests.v1", partition=1, offset=7, timestamp_ms=5, key=key.encode(), value=b"\xff\x00",
        headers=(("content-type", b"application/json"),),
    )  # fmt: skip
    letter: OutRecord = dead_letter(found, group="shard", error=ValueError("it is no record"), largest=1_000_000)
    producer = IdempotentProducer(connection)
    await producer.start()
    await producer.append(topic, 0, [letter])
    await producer.flush()
    await producer.close()
    (row,) = [each for each in dev.json(*way, "dlq", "list", "--topic", topic) if each["key"] == key]
    assert (row["original_offset"], row["exception"]) == ("7", "ValueError: it is no record")
    shown = dev.json(*way, "dlq", "show", topic, str(row["partition"]), str(row["offset"]))
    assert (shown["value_base64"], shown["text"], shown["headers"]) == (
        "/wA=",
        None,
        {"content-type": "application/json"},
    )
    assert "is no topic of dead letters" in dev.refused(2, *way, "dlq", "list", "--topic", "nothing")


@pytest.mark.parametrize(("given", "ending", "code"), [('"Ada"', "COMPLETED", 0), ('"nobody"', "FAILED", 5)])
def test_a_run_is_drawn_on_a_terminal(dev: Dev, way: list[str], given: str, ending: str, code: int) -> None:
    """The tree with its steps, until it has ended; the exit code is that of its result."""
    name = f"drawn-{ending}-{len(way)}"
    dev.json(*way, "runs", "start", "hello", given, "--id", name)
    ours, theirs = pty.openpty()
    environment = dev.variables() | {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    process = subprocess.Popen(
        [*COMMAND, *way, "runs", "watch", name], env=environment, stdout=theirs, stderr=subprocess.PIPE, text=False
    )
    os.close(theirs)
    drawn = b""
    try:
        while part := os.read(ours, 65_536):
            drawn += part
    except OSError:
        pass  # this is how a terminal says that nobody writes to it any more
    os.close(ours)
    assert process.wait() == code
    text = drawn.decode()
    assert ending in text
    assert "reserve" in text
    assert "greet" in text
    assert process.stderr is not None
    process.stderr.close()
