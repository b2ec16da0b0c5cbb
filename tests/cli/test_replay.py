"""`actionbus replay`: a history is recorded from a live installation and folded again without one."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from cli.installed import READY_SECONDS, Dev
from histories.history import FOLDER
from support import commands


def _replay(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command where no broker is, and no setting names one."""
    return commands.run("replay", *map(str, arguments), env=dict(os.environ), cwd=folder, timeout=READY_SECONDS)


def test_recorded_histories_are_as_they_were(tmp_path: Path) -> None:
    """The histories that the tests keep are in the same form: they fold to what was recorded, and the command ends with 0."""
    files = sorted(FOLDER.glob("*.json"))
    done = _replay(*files, folder=tmp_path)
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout) == []
    assert done.stderr.startswith(f"histories: {len(files)}, inputs: ")
    assert done.stderr.endswith(", as recorded\n")


def test_a_changed_recording_is_told_and_ends_with_1(tmp_path: Path) -> None:
    """One word changed in a recording is one difference, with what was recorded and what comes."""
    file = tmp_path / "changed.json"
    history = json.loads((FOLDER / "happy-path.json").read_text(encoding="utf-8"))
    history["moments"][1]["outcome"]["event"]["entries"][0]["action"] = "make-user"
    file.write_text(json.dumps(history), encoding="utf-8")
    done = _replay(file, "-o", "json", folder=tmp_path)
    (row,) = json.loads(done.stdout)
    assert done.returncode == 1
    assert (row["moment"], row["what"]) == (2, "event")
    assert row["recorded"]["entries"][0]["action"] == "make-user"
    assert row["comes"]["entries"][0]["action"] == "create-user"
    assert "1 came out otherwise, differences: 1" in done.stderr
    assert "make-user" in _replay(file, "-o", "table", folder=tmp_path).stdout


@pytest.mark.parametrize(
    ("file", "says"),
    [("missing.json", "cannot be read"), ("app.py", "app.py holds no history"), (".", "cannot be read")],
)
def test_what_is_no_history_ends_with_2(tmp_path: Path, file: str, says: str) -> None:
    """A file that is not there, or holds something else, is named in one sentence."""
    (tmp_path / "app.py").write_text("print()", encoding="utf-8")
    done = _replay(file, folder=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.kafka
def test_a_live_run_is_recorded_and_folded_again(dev: Dev) -> None:
    """The events of a run give its history; it folds the same, and differently under a workflow that was changed."""
    dev.command("runs", "start", "hello", '"nobody"', "--id", "recorded-1", "--result")
    done = dev.command("runs", "history", "recorded-1", "--export", "recorded.json")
    assert done.returncode == 0, done.stderr
    again = _replay("recorded.json", folder=dev.folder)
    assert (again.returncode, again.stderr) == (0, "histories: 1, inputs: 4, as recorded\n")
    assert _replay("recorded.json", "--definition", "app.py", folder=dev.folder).returncode == 0
    text = (dev.folder / "app.py").read_text(encoding="utf-8")
    (dev.folder / "changed.py").write_text(
        text.replace(", undo=lambda made: release(what=made))", ")"), encoding="utf-8"
    )
    changed = _replay("recorded.json", "--definition", "changed.py", folder=dev.folder)
    assert changed.returncode == 1
    assert any(
        entry["kind"] == "compensation_scheduled"
        for row in json.loads(changed.stdout)
        for entry in row["recorded"]["entries"]
    )
    shown = json.loads(dev.command("definition", "show", "app.py").stdout.splitlines()[1])
    (dev.folder / "other.json").write_text(json.dumps(shown), encoding="utf-8")
    refused = _replay("recorded.json", "--definition", "other.json", folder=dev.folder)
    assert refused.returncode == 2
    assert "holds no workflow of the name hello" in refused.stderr


@pytest.mark.kafka
def test_a_run_under_way_is_recorded_as_far_as_it_is(dev: Dev) -> None:
    """A history need not have an end; where the file cannot be written, that is said."""
    dev.json("runs", "start", "wait", json.dumps(str(dev.folder / "never")), "--id", "recorded-2")
    assert dev.command("runs", "history", "recorded-2", "--export", "under-way.json").returncode == 0
    assert _replay("under-way.json", folder=dev.folder).returncode == 0
    dev.command("runs", "start", "nothing", "1", "--id", "never-1")
    assert "run never-1 never began" in dev.refused(2, "runs", "history", "never-1", "--export", "never.json")
    assert "cannot be written" in dev.refused(2, "runs", "history", "recorded-2", "--export", "no-folder/a.json")


def test_a_document_is_folded_under(tmp_path: Path) -> None:
    """A workflow may be a document as well: under its own graph a history is as it was."""
    graph = json.loads((FOLDER / "happy-path.json").read_text(encoding="utf-8"))["graph"]
    (tmp_path / "graph.json").write_text(json.dumps(graph), encoding="utf-8")
    assert _replay(FOLDER / "happy-path.json", "--definition", "graph.json", folder=tmp_path).returncode == 0
