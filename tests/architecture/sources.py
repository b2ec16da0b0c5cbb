"""What the rules of the tree look at: the files of a checkout, and the Python of them parsed."""

import ast
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SERVICES = ROOT / "services"
MADE = {"__pycache__", "node_modules", "dist", "build"}  # what tools leave behind, beside folders that begin with a dot
DOTTED = {".ci"}
BINARY = {".png", ".ico", ".sqlite", ".gz"}


@cache
def files() -> tuple[Path, ...]:
    """Every file of the project, without what tools and tests leave behind."""
    found: list[Path] = []
    for folder, below, names in os.walk(ROOT):
        below[:] = [each for each in below if each in DOTTED or not (each.startswith(".") or each in MADE)]
        below[:] = [each for each in below if not each.endswith(".egg-info")]
        found += [Path(folder) / name for name in names if not name.endswith(".pyc") and name != ".env"]
    return tuple(sorted(found))


def texts() -> Iterator[tuple[Path, str]]:
    """Every text file, with its path from the root."""
    for file in files():
        if file.suffix not in BINARY:
            yield (
                file.relative_to(ROOT),
                file.read_text(encoding="utf-8", errors="replace"),
            )  # findings of fuzzing are any bytes


def python(*folders: str) -> tuple[Path, ...]:
    """Every Python file below these folders of the root."""
    return tuple(file for file in files() if file.suffix == ".py" and file.relative_to(ROOT).parts[0] in folders)


@cache
def tree(file: Path) -> ast.Module:
    """A Python file, parsed."""
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def functions(file: Path) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Every function of a file, with its dotted name inside the file."""
    yield from _functions("", tree(file))


def _functions(prefix: str, node: ast.AST) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{prefix}{child.name}"
            if not isinstance(child, ast.ClassDef):
                yield name, child
            inner = "" if isinstance(child, ast.ClassDef) else "<locals>."
            yield from _functions(f"{name}.{inner}", child)
        else:
            yield from _functions(prefix, child)


def named(file: Path) -> str:
    """A file as a message names it."""
    return file.relative_to(ROOT).as_posix()
