"""A workflow that asks for a safe saga and is none is refused wherever a command meets it, with its line."""

import os
import shutil
import subprocess
from pathlib import Path

from cli.installed import READY_SECONDS
from support import commands

APP = Path(__file__).with_name("hello_app.py")


def _lint(folder: Path, file: str) -> subprocess.CompletedProcess[str]:
    return commands.run("definition", "lint", file, env=dict(os.environ), cwd=folder, timeout=READY_SECONDS)


def test_a_module_is_refused_with_the_line_of_the_step(tmp_path: Path) -> None:
    """The step that has no undo is named with its line; with the mark on its action the workflow is accepted."""
    shutil.copy(APP, tmp_path / "app.py")
    text = APP.read_text(encoding="utf-8").replace('id="hello", version="1"', 'id="hello", version="1", saga=True')
    (tmp_path / "app.py").write_text(text, encoding="utf-8")
    line = next(number for number, each in enumerate(text.splitlines(), start=1) if "flow.run(greet" in each)
    done = _lint(tmp_path, "app.py")
    assert done.returncode == 2
    assert f"app.py:{line}: saga: step greet: it has no undo, and its action greet is not safe_to_leave" in done.stderr
    assert "Traceback" not in done.stderr
    safe = text.replace('description="Greets."', 'description="Greets.", safe_to_leave=True')
    (tmp_path / "safe.py").write_text(safe, encoding="utf-8")
    assert _lint(tmp_path, "safe.py").returncode == 0


def test_a_document_is_refused_with_line_and_column(tmp_path: Path) -> None:
    """In a document it is the place of the node."""
    (tmp_path / "order.yaml").write_text(
        """\
name: order
version: "1"
saga: true
root:
  id: root
  kind: sequence
  nodes:
    - {id: pay, kind: step, pivot: true, call: {action: pay, input: {}}}
    - {id: mail, kind: step, call: {action: mail, input: {}}}
actions:
  pay: {id: pay}
  mail: {id: mail}
""",
        encoding="utf-8",
    )
    done = _lint(tmp_path, "order.yaml")
    assert done.returncode == 2
    assert "order.yaml:9:7: saga: step mail: it can fail for good" in done.stderr
