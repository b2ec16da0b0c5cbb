"""What an operator finds without knowing any run: who lives, who is stuck, who is asked; and repairs in bulk."""

import json
from pathlib import Path

import pytest

from cli.installed import Dev

pytestmark = pytest.mark.kafka

APP = '''
from pathlib import Path

from actionbus import Flow, NonRetryable, Retry, action, rule, workflow


@action(id="deliver", retry=Retry(attempts=1))
def deliver(name: str) -> str:
    """Fails while there is a file that says so."""
    if Path("{folder}", "closed").exists():
        raise NonRetryable(f"the road to {{name}} is closed", type="Closed")
    return f"delivered to {{name}}"


@workflow(id="delivery", version="1")
def delivery(flow: Flow, names: list[str]) -> list[str]:
    given = flow.map(names, lambda name: flow.run(deliver(name=name), on_failure=[rule("Closed").pause()]))
    return given


@workflow(id="approval", version="1")
def approval(flow: Flow, who: str) -> bool:
    return flow.wait_for_person("Approve it", bool, id="ok", assignee=who)
'''


@pytest.fixture(scope="module")
def deliveries(tmp_path_factory):
    """An installation whose road can be closed."""
    folder = tmp_path_factory.mktemp("incidents")
    Path(folder, "app.py").write_text(APP.format(folder=folder), encoding="utf-8")
    made = Dev(folder, "app.py")
    try:
        made.start("--no-reload")
        yield made
    finally:
        made.close()


def _stuck(dev: Dev, *options: str) -> list[dict]:
    return dev.json("incidents", "list", *options)


def test_incidents_are_found_and_resolved_in_bulk(deliveries: Dev) -> None:
    """By step, by what they say, by workflow; planned first, and every one that was asked is told."""
    closed = deliveries.folder / "closed"
    closed.touch()
    for run in ("a", "b", "c"):
        deliveries.json("runs", "start", "delivery", '["Ada", "Eve"]', "--id", run)
    deliveries.until(lambda: len(_stuck(deliveries)) == 6)
    assert {row["run_id"] for row in deliveries.json("runs", "list", "--workflow", "delivery")} == {"a", "b", "c"}
    assert _stuck(deliveries, "--workflow", "approval") == []
    eves = ("--saying", "road to Eve", "--step", "map[].deliver")
    assert [(row["run_id"], row["step"]) for row in _stuck(deliveries, *eves)] == [
        (run, "map[1].deliver") for run in ("a", "b", "c")
    ]
    planned = deliveries.json("incidents", "resolve", "retry", "--dry-run", *eves)
    assert [row["verdict"] for row in planned] == ["possible"] * 3
    assert len(_stuck(deliveries)) == 6
    refused = deliveries.command("incidents", "resolve", "skip", "7", *eves)
    assert refused.returncode == 4
    assert all("does not fit" in row["reason"] for row in json.loads(refused.stdout))
    done = deliveries.json("incidents", "resolve", "skip", '"left at the door"', "--reason", "a flood", *eves)
    assert [row["verdict"] for row in done] == ["done"] * 3
    ended = deliveries.json("incidents", "resolve", "cancel", "--workflow", "delivery", "--saying", "Ada")
    assert [row["run_id"] for row in ended] == ["a", "b", "c"]
    deliveries.until(lambda: deliveries.json("runs", "list", "--workflow", "delivery") == [])


def test_a_retry_in_bulk_lets_runs_complete(deliveries: Dev) -> None:
    """Once the cause is gone."""
    closed = deliveries.folder / "closed"
    closed.touch()
    deliveries.json("runs", "start", "delivery", '["Ada"]', "--id", "again")
    deliveries.until(lambda: len(_stuck(deliveries)) == 1)
    closed.unlink()
    deliveries.json("incidents", "resolve", "retry")
    assert deliveries.json("runs", "result", "again") == ["delivered to Ada"]


def test_tasks_are_listed_by_whom_they_are_for(deliveries: Dev) -> None:
    """With what a person needs to fill in the form."""
    for run, who in (("x", "ann"), ("y", "bob")):
        deliveries.json("runs", "start", "approval", json.dumps(who), "--id", run)
    deliveries.until(lambda: len(deliveries.json("tasks", "list")) == 2)
    (mine,) = deliveries.json("tasks", "list", "--assignee", "bob")
    assert (mine["run_id"], mine["path"], mine["title"]) == ("y", "ok", "Approve it")
    deliveries.json("runs", "fill", mine["run_id"], mine["path"], "true")
    assert deliveries.json("runs", "result", "y") is True
    assert [row["run_id"] for row in deliveries.json("tasks", "list")] == ["x"]


def test_a_run_that_has_ended_is_run_again(deliveries: Dev) -> None:
    """With the input that it had; a run that lives is left alone."""
    closed = deliveries.folder / "closed"
    closed.touch()
    deliveries.json("runs", "start", "delivery", '["Ada"]', "--id", "twice")
    deliveries.until(lambda: len(_stuck(deliveries)) == 1)
    assert deliveries.command("runs", "restart", "twice").returncode == 4
    deliveries.json("runs", "cancel", "twice")
    deliveries.until(lambda: deliveries.json("runs", "show", "twice")["status"] == "CANCELLED")
    closed.unlink()
    assert deliveries.json("runs", "restart", "twice", "--reason", "the road is open")["restarted"] is True
    assert deliveries.json("runs", "result", "twice") == ["delivered to Ada"]
