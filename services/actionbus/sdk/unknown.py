"""What stands in a workflow for a value that exists only when a run gets there.

Everything that would need the value itself is refused, with its line: the workflow is read before any run exists, so a
condition or a computation on it would be decided once and for all, wrongly.
"""

from typing import Any, Final, NoReturn

from actionbus.contracts.errors import DefinitionRefused
from actionbus.sdk import place


class Unknown:
    """A value that is not there yet."""

    __slots__ = ()

    def __called__(self) -> str:
        """What messages call it."""
        raise NotImplementedError


def refuse(unknown: Unknown, what: str, instead: str) -> NoReturn:
    """Raise DefinitionRefused: what cannot be done with a value that is not there, and what to write instead."""
    raise DefinitionRefused(
        place.here().says(
            f"{unknown.__called__()} {what}: there is no value yet, a workflow is read before any run; {instead}"
        )
    )


_DECIDE: Final = "decide with flow.choose((condition, lambda: ...), ...)"
_COMPARE: Final = 'compare it with cel("value > 1", value=...)'
_COMPUTE: Final = 'compute it with cel("a + b", a=..., b=...), or in an action'
_BINARY: Final = (
    *("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "divmod", "pow"),
    *("lshift", "rshift", "and", "or", "xor"),
)
_REFUSED: Final = {
    "cannot be a condition (if, and, or, not, while, assert)": (_DECIDE, ("bool",)),
    "cannot be compared": (_COMPARE, ("eq", "ne", "lt", "le", "gt", "ge")),
    "cannot be searched with in": ('ask cel("value in list", value=..., list=...)', ("contains",)),
    "cannot be looped over or unpacked": (
        "go through it with flow.map(items, lambda item: ...), or hand the whole list to one action",
        ("iter", "next", "reversed"),
    ),
    "has no length": ('ask cel("size(list)", list=...)', ("len", "length_hint")),
    "cannot become text (str, f-string, format, print)": (
        "join texts with cel, or pass the parts to the action and write the text there",
        ("str", "format", "bytes", "fspath"),
    ),
    "cannot become a number": (_COMPUTE, ("int", "float", "complex", "index", "round", "trunc", "floor", "ceil")),
    "cannot be calculated with": (
        _COMPUTE,
        ("neg", "pos", "abs", "invert", *_BINARY, *(f"r{word}" for word in _BINARY)),
    ),
    "cannot be a key of a dictionary or a member of a set": (_COMPUTE, ("hash",)),
    "cannot be called": (_COMPUTE, ("call",)),
    "cannot be awaited": ("a workflow function is not async: flow.run(...) already gives the reference", ("await",)),
    "cannot be used in a with statement": (_COMPUTE, ("enter", "aenter")),
    "cannot be changed": (
        "values do not change: hand the new value to the next action",
        ("setitem", "delitem", "delattr"),
    ),
}


def _refusing(what: str, instead: str) -> Any:
    def refused(self: Unknown, *_: object) -> NoReturn:
        refuse(self, what, instead)

    return refused


for _what, (_instead, _words) in _REFUSED.items():
    for _word in _words:
        setattr(Unknown, f"__{_word}__", _refusing(_what, _instead))
