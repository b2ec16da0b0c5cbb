"""Arguments and options that several commands share, and how they are read: JSON, moments, who asks."""

import getpass
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from actionbus.cli.completion import run_ids
from actionbus.contracts import payloads
from actionbus.contracts.errors import PayloadRefused

RunId = Annotated[str, typer.Argument(help="The run's id.", autocompletion=run_ids)]
Step = Annotated[str, typer.Argument(help="The step: its path, as `runs show` gives it, or its id if that is enough.")]
Reason = Annotated[str, typer.Option(help="Why, for the history.")]
By = Annotated[str | None, typer.Option(help="Who asks, for the history; your user's name when not given.")]
RequestId = Annotated[str | None, typer.Option(help="The same id asked again has one effect.")]
BeginAt = Annotated[
    str | None, typer.Option(help="When its first step is due, as in 2026-12-24T18:00:00+01:00; at once if not given.")
]
Debounce = Annotated[
    str | None,
    typer.Option(help="Begin after so long, as in 30s; the same start before that gives it its input and time."),
]
Priority = Annotated[int, typer.Option(help="Who goes first where a limit lets not all go; higher first.")]
PartitionKey = Annotated[str | None, typer.Option(help="Runs whose ids are made with the same one share a shard.")]
JSON_HELP: Final = "as JSON; - reads standard input, @FILE a file."


def value(text: str | None, what: str) -> Any:
    """The JSON that an argument holds or names; raises PayloadRefused."""
    if text is None:
        return None
    try:
        if text == "-":
            data = sys.stdin.buffer.read()
        elif text.startswith("@"):
            data = Path(text[1:]).read_bytes()
        else:
            data = text.encode()
    except (OSError, UnicodeEncodeError) as error:
        raise PayloadRefused(f"the {what} cannot be read: {error}") from error
    try:
        return payloads.decode(data)
    except PayloadRefused as error:
        raise PayloadRefused(f"{error}; give the {what} as JSON, a text with its quotes: '\"text\"'") from error


def moment(text: str) -> datetime:
    """A time in words; raises PayloadRefused."""
    if text == "now":
        return datetime.fromtimestamp(time.time(), tz=UTC)
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise PayloadRefused(f"{text!r:.80} is no time: write now, or as in 2026-12-24T18:00:00+01:00") from error
    if found.tzinfo is None:
        raise PayloadRefused(f"{text!r:.80} says no time zone: add Z, or an offset such as +01:00")
    return found


def user(named: str | None) -> str:
    """Who asks: whoever was named, else the one whom this process belongs to; nobody where that is not known."""
    if named is not None:
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return ""
