"""`actionbus dev` while its module changes: what is new takes over, what is wrong is said, Ctrl-C ends it in good order."""

import asyncio
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from actionbus.kafka.admin import Admin
from actionbus.kafka.connection import Connection
from actionbus.kafka.reader import PartitionReader
from cli.installed import Dev
from contracts import registry

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
APP = Path(__file__).with_name("hello_app.py")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Dev]:
    """An installation of this test's own, that may be changed and ended."""
    shutil.copy(APP, tmp_path / "app.py")
    made = Dev(tmp_path, "app.py")
    try:
        yield made
    finally:
        made.close()


def _change(dev: Dev, *changes: tuple[str, str]) -> None:
    file = dev.folder / dev.module
    text = file.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text, encoding="utf-8")


def _greets(dev: Dev) -> str:
    return dev.json("runs", "start", "hello", '"Ada"', "--result")


def test_there_is_a_page_and_an_api(own: Dev) -> None:
    """What runs is seen over HTTP, at the address that is printed."""
    own.start()
    _greets(own)
    found = re.search(r"^Page +(\S+?)/ ", own.log.read_text(), re.MULTILINE)
    assert found is not None

    def ended() -> bool:
        return len(httpx.get(f"{found[1]}/v1/runs?status=COMPLETED").json()["items"]) == 1

    own.until(ended)
    assert "actionbus" in httpx.get(found[1]).text


def test_changes_are_followed(own: Dev) -> None:
    """Changed action code runs at once; a changed workflow needs another version; what cannot run changes nothing."""
    own.start()
    assert _greets(own) == "Hello, Ada!"

    _change(own, ('f"Hello, {name}!"', 'f"Hi, {name}!"'))
    own.says("reloaded: hello@1", times=1)
    assert _greets(own) == "Hi, Ada!"

    _change(own, ("    flow.run(reserve", '    flow.run(reserve(name=name), id="twice")\n    flow.run(reserve'))
    own.says("another version")
    own.says("reloaded: hello@1", times=2)
    assert _greets(own) == "Hi, Ada!"
    assert "twice" not in own.command("runs", "explain", _last_run(own)).stdout

    _change(own, ("from actionbus import", "from actionbus importt"))
    own.says("not reloaded, what ran before goes on")
    assert _greets(own) == "Hi, Ada!"

    _change(
        own, ("from actionbus importt", "from actionbus import"), ('id="hello", version="1"', 'id="hello", version="2"')
    )
    own.says("reloaded: hello@2")
    run_id = own.json("runs", "start", "hello", '"Ada"')["run_id"]
    assert own.json("runs", "result", run_id) == "Hi, Ada!"
    assert "twice succeeded" in own.command("runs", "explain", run_id).stdout
    assert own.interrupt() == 0


def _last_run(dev: Dev) -> str:
    run_id = dev.json("runs", "start", "hello", '"Ada"')["run_id"]
    dev.json("runs", "result", run_id)
    return run_id


def test_ctrl_c_ends_it_and_the_next_start_goes_on(own: Dev) -> None:
    """Ctrl-C ends everything with 0; what had ended is still known after the next start, what was under way goes on."""
    file = own.folder / "go-on"
    own.start("--no-reload")
    own.json("runs", "start", "hello", '"Ada"', "--id", "before", "--result")
    own.json("runs", "start", "wait", json.dumps(str(file)), "--id", "under-way")
    assert own.interrupt() == 0
    file.write_text("")
    own.start("--no-reload")
    assert own.json("runs", "result", "before") == "Hello, Ada!"
    assert own.json("runs", "result", "under-way") is True
    assert own.interrupt() == 0


def test_a_module_that_cannot_be_used_is_refused_before_anything_starts(own: Dev) -> None:
    """A module with a mistake, an empty one and a missing one end the command with 2 and say what is wrong."""
    (own.folder / "broken.py").write_text("import nothing_of_this_name\n")
    (own.folder / "empty.py").write_text("")
    for module, says in (
        ("broken.py", "No module named 'nothing_of_this_name'"),
        ("empty.py", "declares no action and no workflow"),
        ("missing.py", "there is no file missing.py"),
    ):
        done = own.command("dev", module)
        assert done.returncode == 2
        assert says in done.stderr
    assert not (own.folder / ".actionbus").exists()


def test_a_broker_that_runs_already_is_used(own: Dev, broker) -> None:
    """With --kafka nothing is started but the services: the installation lives on the broker that was named."""
    prefix = own.folder.name.replace("_", "-").lower()
    own.environment["ACTIONBUS_PREFIX"] = prefix
    own.start("--no-reload", "--kafka", broker.bootstrap)
    own.kafka_port = int(broker.bootstrap.rpartition(":")[2])
    assert _greets(own) == "Hello, Ada!"
    assert not (own.folder / ".actionbus" / "dev" / "kafka").exists()
    assert own.interrupt() == 0


def test_an_installation_with_a_schema_registry(own: Dev) -> None:
    """With the address of a registry every record carries its schema's id, and everything works as before."""
    with registry.running() as server:
        own.environment["ACTIONBUS_REGISTRY_URL"] = server.url
        own.start("--no-reload")
        assert _greets(own) == "Hello, Ada!"
        assert "actionbus.v1.WorkflowRun" in server.subjects
        assert "actionbus.action.greet.commands.v1-value" in server.subjects
        first = asyncio.run(_first_bytes(f"127.0.0.1:{own.kafka_port}", "actionbus.action.greet.commands.v1"))
        assert first == {b"\x00"}
        assert own.interrupt() == 0


async def _first_bytes(address: str, topic: str) -> set[bytes]:
    found: set[bytes] = set()
    async with Admin(Connection(bootstrap_servers=address)) as admin:
        partitions = (await admin.topics(topic))[topic].partitions
    async with PartitionReader(Connection(bootstrap_servers=address), isolation="read_uncommitted") as reader:
        for partition in range(partitions):
            async for records in reader.read_to_end(topic, partition):
                found |= {(record.value or b"")[:1] for record in records}
    return found


def test_a_taken_port_is_named(own: Dev, dev: Dev) -> None:
    """Where the port of the probes is taken, the command says which setting chooses another one."""
    own.environment["ACTIONBUS_HTTP_PORT"] = str(dev.probes_port)
    done = own.command("dev", "app.py", "--port", str(own.kafka_port))
    assert done.returncode == 6
    assert "ACTIONBUS_HTTP_PORT" in done.stderr
    assert "Traceback" not in done.stderr
