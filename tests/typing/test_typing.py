"""What a type checker says about programs that use actionbus."""

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MARKER = re.compile(r"# error: (.+)$")


@cache
def found() -> dict[str, dict[int, list[str]]]:
    """Pyright's strict findings by file and line, counted from 1."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable),
            *("--project", str(HERE / "pyrightconfig.json")),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] >= 2, done.stdout
    lines: dict[str, dict[int, list[str]]] = {}
    for each in report["generalDiagnostics"]:
        at = lines.setdefault(Path(each["file"]).name, {})
        at.setdefault(each["range"]["start"]["line"] + 1, []).append(each["message"])
    return lines


def marked() -> dict[int, str]:
    """The lines of wrong.py that say they are wrong, and why."""
    lines = (HERE / "wrong.py").read_text().splitlines()
    return {number: match[1] for number, line in enumerate(lines, 1) if (match := MARKER.search(line))}


def test_a_correct_program_has_no_findings():
    """Every construct once, and every type is known: strict mode has nothing to say."""
    assert found().get("correct.py", {}) == {}


@pytest.mark.parametrize(("line", "why"), marked().items())
def test_every_mistake_is_found_on_its_line(line, why):
    """A wrong argument, field, undo, fallback or option is an error where it is written."""
    assert line in found()["wrong.py"], why


def test_nothing_else_is_found_in_the_wrong_program():
    """Each mistake is named once, where it is: no line beside them is blamed."""
    unexpected = {line: said for line, said in found()["wrong.py"].items() if line not in marked()}
    assert unexpected == {}
