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
    assert "runs that live: 2 on 1; they stay there" in told
