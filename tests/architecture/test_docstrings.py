"""Every module says what lives in it, and every test says which promise it keeps."""

import ast

from architecture.sources import functions, named, python, tree


def test_every_module_says_what_lives_in_it():
    """Every module of the project begins with a docstring."""
    silent = [named(file) for file in python("services", "tests", "examples", "benchmarks") if not _said(tree(file))]
    assert silent == []


def test_every_public_function_says_what_it_means():
    """Every public function, method and class of the services has a docstring."""
    silent = [
        f"{named(file)}:{name}"
        for file in python("services")
        for name, node in functions(file)
        if _public(name) and not _said(node) and not _overload(node)
    ]
    assert silent == []


def test_every_test_says_its_promise():
    """Every test has a docstring that is a sentence: it begins with a capital and ends with a full stop."""
    silent = [
        f"{named(file)}:{name}"
        for file in python("tests")
        if file.name.startswith("test_")
        for name, node in functions(file)
        if name.rpartition(".")[2].startswith("test_") and not _sentence(_said(node))
    ]
    assert silent == []


def _said(node: ast.AST) -> str:
    return ast.get_docstring(node) or ""


def _sentence(text: str) -> bool:
    return bool(text) and not text[0].islower() and text.rstrip()[-1] in ".`"


def _public(name: str) -> bool:
    # A function inside a function is nobody's to call but that function's.
    return "<locals>" not in name and not any(part.startswith("_") for part in name.split("."))


def _overload(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(ast.unparse(each).endswith("overload") for each in node.decorator_list)
