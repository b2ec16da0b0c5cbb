"""The reference page of the command line, derived from the commands themselves.

``python -m actionbus.cli.reference docs/reference`` writes it.
"""

import inspect
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import typer
from typer.core import TyperGroup

from actionbus.cli import exits
from actionbus.cli.main import app

_DERIVED: Final = "<!-- derived from services/actionbus/cli by `python -m actionbus.cli.reference`; do not edit -->"
_COMPLETION: Final = ("install_completion", "show_completion", "help")


def page() -> str:
    """docs/reference/cli.md."""
    lines = [
        "# Command line",
        _DERIVED,
        "",
        "Results go to standard output: a table on a terminal, JSON elsewhere, `-o table|json|jsonl` by choice.",
        "What is said to people goes to standard error: an error is one sentence there, `--debug` shows its origin.",
        "Settings are variables of the environment, see [settings](settings.md).",
        "These options stand before a command:",
        "",
    ]
    root: Any = typer.main.get_command(app)
    lines += [*_options(root), ""]
    for path, command in _commands(root, "actionbus"):
        lines += [f"## {path}", "", *_paragraphs(command), "", *_usage(path, command), ""]
        rows = [*_arguments(command), *_options(command)]
        lines += [*rows, ""] if rows else []
    lines += ["## Exit codes", "", "| code | meaning |", "| --- | --- |"]
    lines += [f"| {code} | {meaning} |" for code, meaning in sorted(exits.meanings().items())]
    return "\n".join(lines) + "\n"


def _commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _paragraphs(command: Any) -> list[str]:
    return inspect.cleandoc(command.help or "").splitlines()


def _usage(path: str, command: Any) -> list[str]:
    names = [_argument(each) for each in command.params if each.param_type_name == "argument"]
    return [f"`{' '.join([path, *names])}`"]


def _argument(each: Any) -> str:
    if each.metavar:
        return str(each.metavar)
    return f"{each.name.upper()}{'...' if each.nargs == -1 else ''}"


def _arguments(command: Any) -> list[str]:
    rows = [each for each in command.params if each.param_type_name == "argument"]
    return [f"- `{_argument(each)}`: {each.help}" for each in rows]


def _options(command: Any) -> list[str]:
    rows = [each for each in command.params if each.param_type_name == "option" and each.name not in _COMPLETION]
    return [f"- {_names(each)}: {each.help}{_default(each)}" for each in rows]


def _default(each: Any) -> str:
    return "" if each.is_flag or each.default in (None, "") else f" Default: `{each.default}`."


def _names(each: Any) -> str:
    value = "" if each.is_flag else " VALUE"
    return ", ".join(f"`{name}{value}`" for name in [*each.opts, *each.secondary_opts])


def main(arguments: Sequence[str]) -> None:
    """Write the page into the folder that is named."""
    Path(arguments[0], "cli.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
