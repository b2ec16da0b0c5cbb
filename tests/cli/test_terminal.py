"""How a list of runs looks to a person, and that a file gets none of it."""

import io
import json
import sys

import pytest
from rich.console import Console

from actionbus.cli import output, terminal
from actionbus.cli.output import Format

NOW = 1_800_000_000.0
ROWS = [{"run": "a", "status": "FAILED", "since": "2026-01-01T00:00:00.000Z", "stuck": "\x1b[2Jnobody answers"}]
COLUMNS = {"run": "run", "status": "status", "since": "since", "stuck": "stuck"}


@pytest.mark.parametrize(
    ("passed", "said"),
    [(0, "0 s ago"), (119, "119 s ago"), (120, "2 min ago"), (7_199, "119 min ago"), (7_200, "2 h ago"),
     (3 * 86_400, "3 d ago"), (-300, "in 5 min")],
)  # fmt: skip
def test_a_time_is_told_by_its_distance(passed: int, said: str) -> None:
    """In the largest unit of which there are two."""
    assert terminal.ago(output.when(int((NOW - passed) * 1000)), NOW).plain == said


def test_what_is_no_time_stands_as_it_is() -> None:
    """Nothing for nothing, and a number that no calendar knows as it was given."""
    assert terminal.ago(None).plain == ""
    assert terminal.ago(output.when(10**18)).plain == f"{10**18} ms"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_colours_and_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    """And none of the orders that data may hold."""
    shown = _Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setattr(output, "_console", lambda: Console(file=shown, force_terminal=True, color_system="standard"))
    output.rows(ROWS, COLUMNS, None, drawn=terminal.RUNS)
    text = shown.getvalue()
    assert "\x1b[31mFAILED" in text
    assert " d ago" in text
    assert "2026" not in text
    assert "\x1b[2J" not in text


def test_a_file_gets_values_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Also as a table: scripts read times, not distances, and no colours."""
    output.rows(ROWS, COLUMNS, Format.TABLE, drawn=terminal.RUNS)
    text = capsys.readouterr().out
    assert "2026-01-01T00:00:00.000Z" in text
    assert "\x1b" not in text
    output.rows(ROWS, COLUMNS, None, drawn=terminal.RUNS)
    assert json.loads(capsys.readouterr().out) == ROWS
