"""Results on a terminal and in a pipe, whatever characters they hold."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionbus.cli import output
from actionbus.cli.output import Format

ROWS = [{"a": "x", "b": {"n": 1}, "c": "hidden"}, {"a": None, "b": [1], "c": "hidden"}]


def test_a_pipe_gets_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Where standard output is no terminal, rows are one JSON list with every key."""
    output.rows(ROWS, {"a": "A"}, None)
    assert json.loads(capsys.readouterr().out) == ROWS


def test_jsonl_is_a_row_per_line(capsys: pytest.CaptureFixture[str]) -> None:
    """As jsonl each row is one line of JSON."""
    output.rows(ROWS, {"a": "A"}, Format.JSONL)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == ROWS


def test_a_table_has_titles_and_the_named_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """A table shows the named columns with their titles, values as JSON where they are no text."""
    output.rows(ROWS, {"a": "first", "b": "second"}, Format.TABLE)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["first", "second"]
    assert lines[1].split() == ["x", '{"n":', "1}"]
    assert "hidden" not in "".join(lines)


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """No rows: people read a word, scripts an empty list."""
    output.rows([], {"a": "A"}, Format.TABLE, empty="no runs")
    output.rows([], {"a": "A"}, Format.JSON)
    assert capsys.readouterr().out == "no runs\n[]\n"


def test_facts_leave_out_what_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    """For people, one line for each fact there is; for scripts, every key."""
    output.facts({"run_id": "a", "error": None}, Format.TABLE)
    assert capsys.readouterr().out.split() == ["run", "id", "a"]
    output.facts({"run_id": "a", "error": None}, Format.JSONL)
    assert json.loads(capsys.readouterr().out) == {"run_id": "a", "error": None}


@given(st.text())
def test_text_never_orders_a_terminal(text: str) -> None:
    """No control character but the line break is left in what is printed."""
    assert all(char == "\n" or not (ord(char) < 32 or 127 <= ord(char) < 160) for char in output.plain(text))


def test_markup_is_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    """Data that looks like rich's markup is printed as it is."""
    output.rows([{"a": "[bold]x[/bold]"}], {"a": "A"}, Format.TABLE)
    assert "[bold]x[/bold]" in capsys.readouterr().out


@pytest.mark.parametrize(("moment", "text"), [(0, None), (None, None), (1_500, "1970-01-01T00:00:01.500Z")])
def test_moments_are_iso_8601(moment: int | None, text: str | None) -> None:
    """A moment is written in UTC with milliseconds; never is nothing."""
    assert output.when(moment) == text


@pytest.mark.parametrize(
    ("data", "value"), [(None, None), (b'{"a":1}', {"a": 1}), (b"\xff", "\N{REPLACEMENT CHARACTER}")]
)
def test_payloads_are_opened(data: bytes | None, value: object) -> None:
    """A payload is shown as JSON, and as text when it is none."""
    assert output.opened(data) == value
