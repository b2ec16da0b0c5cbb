"""The list of sabotages names tests that are there, and that change the shipped code."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from faults import sabotage
from faults.sabotage import SABOTAGES, Sabotage

FOLDER = Path(__file__).parents[2]
MUTATIONS = {"mutated", "all_mutated"}


@pytest.fixture(scope="module")
def collected() -> set[str]:
    """The node ids of all tests in the files that the list names, without what fixtures add to them."""
    files = sorted({each.test.partition("::")[0] for each in SABOTAGES})
    asked = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *files],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert asked.returncode == 0, asked.stdout + asked.stderr
    return set(asked.stdout.splitlines())


@pytest.mark.parametrize("each", SABOTAGES, ids=[each.rule for each in SABOTAGES])
def test_the_test_is_there(each: Sabotage, collected: set[str]) -> None:
    """Whoever renames a test renames it here; one that runs in many ways is there in one of them at least."""
    assert any(node == each.test or node.startswith(f"{each.test}[") or _same(node, each.test) for node in collected)


@pytest.mark.parametrize("each", SABOTAGES, ids=[each.rule for each in SABOTAGES])
def test_the_test_changes_the_shipped_code(each: Sabotage) -> None:
    """It calls for a mutation, itself or in what it calls in its own file."""
    file, _, name = each.test.partition("::")
    assert _mutates(file, name.partition("[")[0])


def test_no_rule_stands_there_twice() -> None:
    """Each has one row."""
    assert len({each.rule for each in SABOTAGES}) == len(SABOTAGES) == sabotage.table().count("\n") - 1


def _same(node: str, test: str) -> bool:
    """Whether a node is a test with more parameters before its own, as fixtures put them there."""
    name, _, given = test.partition("[")
    return bool(given) and node.startswith(f"{name}[") and node.endswith(f"-{given}")


@cache
def _functions(file: str) -> dict[str, set[str]]:
    """Function -> names that it uses."""
    tree = ast.parse((FOLDER / file).read_text())
    made = [each for each in tree.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {each.name: {_name(part) for part in ast.walk(each)} - {""} for each in made}


def _name(part: ast.AST) -> str:
    return part.id if isinstance(part, ast.Name) else part.attr if isinstance(part, ast.Attribute) else ""


def _mutates(file: str, name: str) -> bool:
    functions, seen, todo = _functions(file), set[str](), [name]
    while todo:
        used = functions.get(todo.pop(), set()) - seen
        if used & MUTATIONS:
            return True
        seen |= used
        todo += [each for each in used if each in functions]
    return False
