"""A workflow is changed while its runs live: what the commands say before, and what becomes of the runs."""

import json
from pathlib import Path

import pytest

from cli.installed import Dev

pytestmark = pytest.mark.kafka


def _changed(dev: Dev, name: str, *changes: tuple[str, str]) -> str:
    """The module of the installation with changes, in another file."""
    text = (dev.folder / "app.py").read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    Path(dev.folder, name).write_text(text, encoding="utf-8")
    return name


def test_a_deployment_says_how_many_runs_stay_on_their_version(dev: Dev) -> None:
    """Live runs are counted by the version that they are pinned to; those that have ended are not."""
    for number in range(2):
        dev.json("runs", "start", "wait", json.dumps(str(dev.folder / "never")), "--id", f"stays-{number}")
    dev.json("runs", "start", "wait", json.dumps(str(dev.folder / "never")), "--id", "ends-1")
    dev.json("runs", "terminate", "ends-1")
    module = _changed(dev, "counted.py", ('id="wait", version="1"', 'id="wait", version="2"'))
    rows = {row["workflow"]: row for row in dev.json("deploy", module, "--dry-run")}
    assert rows["wait"]["live_runs"] == {"1": 2}
    assert rows["hello"]["live_runs"] == {}
    told = dev.command("deploy", module, "--dry-run", "-o", "table").stdout
    assert "runs that live on 1: 2, and stay there; 2 of them could be migrated as they are" in told


def _waits_for_approval(dev: Dev, *changes: tuple[str, str]) -> str:
    """A module with a workflow whose runs wait for a signal, as it is or changed."""
    text = """
from actionbus import Flow, action, workflow
from app import greet, release, reserve


@workflow(id="approval", version="1")
def approval(flow: Flow, name: str) -> str:
    flow.run(reserve(name=name), undo=lambda made: release(what=made))
    flow.wait_for("approved", bool, id="ask")
    return flow.run(greet(name=name))
"""
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    name = f"approval_{len(changes)}.py"
    Path(dev.folder, name).write_text(text, encoding="utf-8")
    return name


def _waits(dev: Dev, run: str) -> bool:
    return any("the signal approved" in each for each in dev.json("runs", "show", run)["waits_for"])


def test_live_runs_go_over_to_a_new_version(dev: Dev) -> None:
    """One by its id and all of a version: planned first, carried out then, told by the history, and recorded again."""
    dev.json("deploy", _waits_for_approval(dev))
    for number in range(3):
        dev.json("runs", "start", "approval", '"Ada"', "--id", f"goes-{number}")
        dev.until(lambda run=f"goes-{number}": _waits(dev, run))
    renamed = (
        ('version="1"', 'version="2"'),
        ('id="ask"', 'id="consent"'),
        ("(name=name))\n", '(name="all"), id="greet-all")\n'),
    )
    module = _waits_for_approval(dev, *renamed)
    (row,) = dev.json("deploy", module)
    assert row["live_runs"] == {"1": 3}
    assert row["migratable"] == {"1": 0}
    assert "map it to one, as in ask=NEW-ID" in row["stay"]
    refused = dev.command("runs", "migrate", "goes-0", "--to", "2", "--dry-run")
    assert refused.returncode == 4
    assert json.loads(refused.stdout)[0]["verdict"] == "stays"
    assert "map it to one, as in ask=NEW-ID" in json.loads(refused.stdout)[0]["reason"]
    told = dev.command("runs", "migrate", "goes-0", "--to", "2")
    assert told.returncode == 4
    assert "map it to one, as in ask=NEW-ID" in told.stdout
    mapped = ("--to", "2", "--map", "ask=consent", "--reason", "a typo", "--by", "Ada")
    assert dev.json("runs", "migrate", "goes-0", *mapped, "--dry-run")[0]["verdict"] == "possible"
    assert dev.json("runs", "show", "goes-0")["version"] == "1"
    assert dev.json("runs", "migrate", "goes-0", *mapped)[0]["verdict"] == "migrated"
    assert dev.json("runs", "show", "goes-0")["version"] == "2"
    every = ("runs", "migrate", "--workflow", "approval", "--from", "1", *mapped)
    assert {row["verdict"] for row in dev.json(*every, "--dry-run")} == {"possible"}
    assert {row["run_id"] for row in dev.json(*every)} == {"goes-1", "goes-2"}
    assert dev.json(*every) == []
    for number in range(3):
        dev.json("runs", "signal", f"goes-{number}", "approved", "true")
        assert dev.json("runs", "result", f"goes-{number}") == "Hello, all!"
    assert (
        '{"from":"1","map":{"ask":"consent"},"to":"2"}: Ada: a typo.' in dev.command("runs", "explain", "goes-0").stdout
    )
    assert "ended already" in dev.command("runs", "migrate", "goes-0", *mapped).stdout
    assert dev.command("runs", "history", "goes-1", "--export", "goes.json").returncode == 0
    again = dev.command("replay", "goes.json")
    assert (again.returncode, json.loads(again.stdout)) == (0, []), again.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--to", "2"), 2, "say which runs"),
        (("a", "--to", "2", "--workflow", "wait", "--from", "1"), 2, "say which runs"),
        (("--to", "2", "--workflow", "wait"), 2, "say which runs"),
        (("--to", "2", "--workflow", "wait", "--from", "1", "--request-id", "r"), 2, "--request-id is for one run"),
        (("nobody", "--to", "2"), 2, "there is no run nobody"),
        (("nobody", "--to", "no version"), 2, "workflow version 'no version' is not valid"),
        (("nobody", "--to", "2", "--map", "x"), 2, "--map 'x' is not OLD=NEW"),
        (("nobody", "--to", "2", "--map", "x=a", "--map", "x=b"), 2, "--map gives x two new ids"),
    ],
)
def test_what_makes_no_sense_is_said(dev: Dev, arguments: tuple[str, ...], code: int, says: str) -> None:
    """One sentence says what is wrong, and nothing is asked."""
    assert says in dev.refused(code, "runs", "migrate", *arguments)


def test_a_plan_needs_a_deployed_version(dev: Dev) -> None:
    """A version that nobody deployed is named, by a plan and by the orchestrator."""
    dev.json("runs", "start", "wait", json.dumps(str(dev.folder / "never")), "--id", "plan-1")
    assert "version 9 of wait is not deployed" in dev.refused(4, "runs", "migrate", "plan-1", "--to", "9", "--dry-run")
    assert "version 9 of wait is not deployed" in dev.command("runs", "migrate", "plan-1", "--to", "9").stdout
