"""How a command shows what it found: tables on a terminal, JSON in a pipe. Data is shown as data, never as markup."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from actionbus.contracts import payloads
from actionbus.contracts.errors import PayloadRefused

Row = Mapping[str, Any]
Drawn = Mapping[str, Callable[[Any], Text]]
"""How some columns look to a person at a terminal."""
_SHOWN: Final = 400  # characters of one value in a table; JSON shows all
# Whatever a terminal could take for an order: data comes from anybody who may start a run.
_CONTROLS: Final = {code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if code != ord("\n")}


class Format(StrEnum):
    """How results are written."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"


Output = Annotated[
    Format | None,
    typer.Option("--output", "-o", help="How results are written; a table on a terminal and JSON elsewhere."),
]


def chosen(output: Format | None) -> Format:
    """What the user asked for, or what fits where standard output goes."""
    return output or (Format.TABLE if sys.stdout.isatty() else Format.JSON)


def rows(
    found: Sequence[Row],
    columns: Mapping[str, str],
    output: Format | None,
    *,
    empty: str = "nothing",
    drawn: Drawn | None = None,
) -> None:
    """Print rows; ``columns`` names those a table shows, with their titles. JSON has every key of a row.

    ``drawn`` is for a terminal alone: a table that goes into a file holds values as they are.
    """
    looks = (drawn or {}) if sys.stdout.isatty() else {}
    match chosen(output):
        case Format.JSON:
            _print(json.dumps(list(found), indent=2, ensure_ascii=False))
        case Format.JSONL:
            for each in found:
                line(each)
        case Format.TABLE:
            if not found:
                _print(empty)
                return
            table = Table(box=None, pad_edge=False, header_style="bold")
            for title in columns.values():
                table.add_column(title, overflow="fold")
            for each in found:
                table.add_row(*(looks.get(name, _cell)(each.get(name)) for name in columns))
            _console().print(table)


def facts(found: Row, output: Format | None) -> None:
    """Print one thing: a line for each of its facts, or a JSON object."""
    if chosen(output) is not Format.TABLE:
        indent = 2 if chosen(output) is Format.JSON else None
        _print(json.dumps(found, indent=indent, ensure_ascii=False))
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in found.items():
        if value is not None and value != "":
            table.add_row(name.replace("_", " "), _lines(value))
    _console().print(table)


def line(found: Row) -> None:
    """Print one row as one line of JSON at once, for whoever reads while more come."""
    _print(json.dumps(found, ensure_ascii=False))


def sentences(lines: Iterable[str]) -> None:
    """Print plain sentences."""
    for each in lines:
        _print(plain(each))


def note(text: str) -> None:
    """Say something to the person, beside the results."""
    sys.stderr.write(f"{plain(text)}\n")
    sys.stderr.flush()


def plain(text: str) -> str:
    """Text without anything that a terminal obeys."""
    return text.translate(_CONTROLS)


def when(milliseconds: int | None) -> str | None:
    """A moment as ISO 8601 in UTC; None for never; a number of milliseconds that no calendar knows, as it is."""
    if not milliseconds:
        return None
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, tz=UTC)
    except (OverflowError, ValueError, OSError):
        return f"{milliseconds} ms"
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def opened(data: bytes | None) -> Any:
    """A payload as JSON; as text when it is none."""
    if data is None:
        return None
    try:
        return payloads.decode(data)
    except PayloadRefused:
        return data.decode("utf-8", "replace")


def _lines(value: Any) -> Text:
    """A value as it stands; of a list, each of its values in a line."""
    return Text("\n").join(_cell(each, shown=None) for each in value) if isinstance(value, list) else _cell(value, None)


def _cell(value: Any, shown: int | None = _SHOWN) -> Text:
    if value is None:
        return Text("")
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if shown is not None and len(text) > shown:
        text = text[: shown - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return Text(plain(text))


def _console() -> Console:
    return Console(file=sys.stdout, soft_wrap=False, highlight=False, markup=False)


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
