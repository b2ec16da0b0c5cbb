"""The names a user imports: what __all__ says is what there is."""

import ast

import actionbus
from architecture.sources import SERVICES, tree


def test_the_public_names_are_those_the_package_imports():
    """`actionbus.__all__` is sorted and names exactly what the package's own file imports for its users."""
    imported = {
        alias.asname or alias.name
        for node in tree(SERVICES / "actionbus" / "__init__.py").body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(actionbus.__all__) == imported
    assert actionbus.__all__ == sorted(actionbus.__all__)


def test_every_public_name_is_documented():
    """Every name of `actionbus.__all__` exists and says what it is."""
    for name in actionbus.__all__:
        assert getattr(actionbus, name).__doc__, f"actionbus.{name} has no docstring"
