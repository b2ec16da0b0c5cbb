"""Expressions in a workflow: a text in the Common Expression Language over the values that are bound beside it."""

from collections.abc import Collection, Mapping
from typing import Any

from actionbus.contracts import expressions
from actionbus.contracts.errors import DefinitionRefused
from actionbus.sdk import place
from actionbus.sdk.place import Place
from actionbus.sdk.unknown import Unknown


class Expression(Unknown):
    """Stands for what a text in CEL gives when a run gets there."""

    __slots__ = ("names", "place", "text")

    def __init__(self, text: str, names: Mapping[str, Any], at: Place) -> None:
        self.text = text
        self.names = names
        self.place = at

    def __called__(self) -> str:
        """As its author wrote it."""
        return f"cel({expressions.shown(self.text)})"

    def __repr__(self) -> str:
        """For debuggers."""
        return f"<expression {expressions.shown(self.text)} over {', '.join(self.names) or 'nothing'}>"


def cel(text: str, /, **names: Any) -> Any:
    """A value that a run computes: ``cel("total > limit", total=order.total, limit=100)``.

    It may stand wherever a value may, and sees only the names that are bound to it: values, references, other
    expressions. Raises DefinitionRefused, naming the line, when the text is no expression or reads another name.
    """
    return written(text, names, ())


def written(text: Any, names: Mapping[str, Any], also: Collection[str]) -> Expression:
    """An expression that was checked where it stands; ``also`` are names that are bound to it later."""
    at = place.here()
    if not isinstance(text, str):
        raise DefinitionRefused(at.says('an expression is a text, and reads what is bound to it: cel("a > 1", a=...)'))
    wrong = [*expressions.mistakes(text, {*names, *also})]
    if wrong:
        raise DefinitionRefused(at.says("; ".join(wrong)))
    return Expression(text, names, at)
