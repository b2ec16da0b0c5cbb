"""A process ends where the switch says, at no other place and visit, and the list of places is the code's."""

import ast
import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from actionbus.contracts.errors import SettingsRefused
from actionbus.process import crashing, variables
from actionbus.process.crashing import Point
from actionbus.process.shutdown import ExitCode
from architecture.sources import SERVICES, named, tree

DEADLINE_SECONDS = 60
DECLARED = SERVICES / "actionbus" / "process" / "crashing.py"
CALLS = {"crashing.visit", "crashing.sent", "crashing.ends_next"}
SERVICE = """
import asyncio, atexit, sys
from actionbus.process import crashing, loop, variables
from actionbus.process.crashing import Point
from actionbus.process.service import serving

async def main():
    async with serving("worker", variables.load(http={{"port": 0}}), lambda: []):
        atexit.register(print, "cleaned up", flush=True)
        sys.stdout.write("never flushed")
        {body}

sys.exit(loop.run(main))
"""
LOOP = """
        for number in range(1, 6):
            print(f"\\n{number}", end="", file=sys.stderr, flush=True)
            crashing.visit(Point.BATCH_READ)
            crashing.visit(Point.COMMITTED_STEP)
"""
SENT = """
        async def request():
            writer.write(b"asked")
            await reader.read(1)

        reader, writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[1]))
        await crashing.sent(Point.COMMIT_SENT, request())
"""


def _service(body: str, switch: str | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {} if switch is None else {crashing.VARIABLE: switch}
    return subprocess.run(
        [sys.executable, "-c", SERVICE.format(body=body), *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_SECONDS,
    )


@pytest.mark.parametrize("nth", [1, 3])
def test_a_service_ends_at_the_visit_that_is_named(nth):
    """At the nth visit, not before it and not at another point, with exit code 9, nothing cleaned up or flushed."""
    done = _service(LOOP, f"worker.committed:{nth}")
    assert done.returncode == crashing.EXIT_CODE == 9
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[-1].startswith(str(nth))
    assert lines[-1].endswith("the end at worker.committed")


def test_a_service_stops_at_the_visit_that_is_named():
    """It is stopped once, and goes on from there when it is woken."""
    command = [sys.executable, "-c", SERVICE.format(body=LOOP)]
    environment = {crashing.VARIABLE: "worker.committed:3:stop"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as it:
        said = next(line for line in it.stderr if "stopped at worker.committed" in line)
        _, status = os.waitpid(it.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        it.send_signal(signal.SIGCONT)
        rest = it.stderr.read()
    assert said.startswith("3")
    assert it.returncode == ExitCode.CLEAN
    assert "4" in rest
    assert "stopped at" not in rest


def test_a_service_says_at_its_start_that_the_switch_is_set():
    """A warning names the point and the visit, before anything else is said."""
    done = _service("pass", "worker.committed:2")
    line = json.loads(done.stderr.splitlines()[0])
    assert (line["level"], line["point"], line["visit"]) == ("warning", "worker.committed", 2)
    assert crashing.VARIABLE in line["message"]
    assert done.returncode == ExitCode.CLEAN


@pytest.mark.parametrize("switch", [None, ""])
def test_without_the_switch_nothing_ends_or_is_said(switch):
    """A service without the switch, or with an empty one, visits every point and goes on."""
    done = _service("for each in Point: crashing.visit(each)", switch)
    assert done.returncode == ExitCode.CLEAN
    assert "cleaned up" in done.stdout
    assert crashing.VARIABLE not in done.stderr


@pytest.mark.parametrize(
    "switch",
    ["worker.commited:1", "worker.committed", "worker.committed:", "worker.committed:0", "worker.committed:-1",
     "worker.committed:1.5", "worker.committed:stop", "worker.committed:1:stop:stop", "worker.committed:²", "COMMITTED_STEP:1", ":1", "1"],
)  # fmt: skip
def test_a_switch_that_makes_no_sense_is_refused_with_the_list(switch):
    """A value that is no point and number is refused, and the refusal lists every point."""
    with pytest.raises(SettingsRefused, match=crashing.VARIABLE) as refused:
        crashing.arm({crashing.VARIABLE: switch})
    assert all(f"  {point.label}: {point.meaning}" in str(refused.value) for point in Point)


def test_a_service_with_a_wrong_switch_does_not_start():
    """A refused switch ends the service with the exit code of settings that make no sense."""
    done = _service("print('started')", "worker.nowhere:1")
    assert done.returncode == ExitCode.USAGE
    assert "started" not in done.stdout
    assert "orchestrator.fenced-a" in done.stderr


def test_the_switch_is_a_variable_and_nothing_else(monkeypatch, tmp_path):
    """A file of secrets may not hold it, nor a variable of almost that name."""
    monkeypatch.setenv(crashing.VARIABLE, "worker.committed:1")
    variables.load()
    monkeypatch.delenv(crashing.VARIABLE)
    monkeypatch.setenv("ACTIONBUS_SECRETS_DIR", str(tmp_path))
    (tmp_path / crashing.VARIABLE).write_text("worker.committed:1")
    with pytest.raises(SettingsRefused, match="is no setting"):
        variables.load()
    (tmp_path / crashing.VARIABLE).unlink()
    monkeypatch.setenv("ACTIONBUS_CRASH_A", "worker.committed:1")
    with pytest.raises(SettingsRefused, match="is no setting"):
        variables.load()


def test_what_is_sent_at_a_point_has_left():
    """A point between a request and its reply is visited when the request has reached the other side."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(DEADLINE_SECONDS)
        done = _service(SENT, "worker.commit-sent:1", str(server.getsockname()[1]))
        peer, _ = server.accept()
        with peer, peer.makefile("rb") as said:
            peer.settimeout(DEADLINE_SECONDS)
            assert said.read() == b"asked"
    assert done.returncode == crashing.EXIT_CODE


def _uses() -> dict[str, set[str]]:
    """By service room: the names after `Point.` that its files use."""
    found: dict[str, set[str]] = {}
    for file in sorted(SERVICES.rglob("*.py")):
        if file == DECLARED:
            continue
        room = file.relative_to(SERVICES / "actionbus").parts[0]
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "crashing.Point":
                found.setdefault(room, set()).add(node.attr)
    return found


def test_every_point_is_visited_in_the_room_of_its_service():
    """The points that the services' files visit are those declared, each in the room that its name begins with."""
    declared: dict[str, set[str]] = {}
    for point in Point:
        declared.setdefault(point.service, set()).add(point.name)
    uses = _uses()
    uses.get("process", set()).clear()
    assert {room: names for room, names in uses.items() if names} == declared


def test_points_are_only_given_to_what_visits_them():
    """Nothing is done with a point but to visit it: another use would count as one that never ends a process."""
    for file in sorted(SERVICES.rglob("*.py")):
        if file == DECLARED:
            continue
        module = tree(file)
        visited = {
            id(inner)
            for node in ast.walk(module)
            if isinstance(node, ast.Call) and ast.unparse(node.func) in CALLS
            for inner in ast.walk(node.args[0])
        }
        for node in ast.walk(module):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "crashing.Point":
                assert id(node) in visited, f"{named(file)}:{node.lineno}: crashing.Point.{node.attr} is not visited"


def test_a_point_says_its_service_and_what_has_happened():
    """Each point has a name of its own that begins with a service, and one sentence."""
    assert len({point.label for point in Point}) == len(Point)
    assert {point.service for point in Point} == {"orchestrator", "worker", "projector"}
    assert [point for service in ("orchestrator", "worker", "projector") for point in crashing.points(service)] == [
        *Point
    ]
    assert all(point.meaning.endswith(".") for point in Point)
