"""What a workflow holds instead of a value: a reference to the run's input, a step's output, or a part of one.

It offers the parts that the value's type has, and refuses everything that would need the value itself: the workflow is
read before any run exists, so a condition or a computation on it would be decided once and for all, wrongly.
"""

from dataclasses import dataclass, replace
from typing import Any, Final, NoReturn

from actionbus.contracts.errors import DefinitionRefused
from actionbus.contracts.templates import Path
from actionbus.sdk import member, place, shape
from actionbus.sdk.shape import Shape


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a reference points, and what stands there."""

    path: Path
    annotation: Any
    shape: Shape
    scope: object
    """Whose reference it is: the reading of one workflow, or the writing of one undo or fallback."""
    unseen: bool = False
    """Whether the value may never be known: then this, and every part of it, is None."""

    @property
    def given(self) -> Shape:
        """The shape of what arrives where the reference is used."""
        return shape.or_none(self.shape) if self.unseen else self.shape

    @property
    def name(self) -> str:
        """The path as people write it: ``steps.create-user.id``."""
        first, *rest = self.path
        return str(first) + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in rest)


class Reference:
    """Stands for a value that exists only when a run gets there."""

    __slots__ = ("__origin",)

    def __init__(self, origin: Origin) -> None:
        object.__setattr__(self, "_Reference__origin", origin)

    def __getattr__(self, name: str) -> "Reference":
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return _part(self, f".{name}", attribute=name)

    def __getitem__(self, key: object) -> "Reference":
        return _part(self, f"[{key!r}]", key=key)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        _refuse(self, f"cannot be given .{name}", "values do not change: hand the new value to the next action")

    def __repr__(self) -> str:
        """For debuggers."""
        found = origin(self)
        return f"<reference {found.name}: {found.given}>"


def origin(reference: Reference) -> Origin:
    """Where a reference points."""
    return object.__getattribute__(reference, "_Reference__origin")


def _part(reference: Reference, written: str, *, attribute: str | None = None, key: object = None) -> Reference:
    whole = origin(reference)
    try:
        found = member.attribute(whole.annotation, attribute) if attribute else member.item(whole.annotation, key)
    except DefinitionRefused as error:
        raise DefinitionRefused(place.here().says(f"{whole.name}{written}: {error}")) from None
    if found.key is None:
        return Reference(replace(whole, annotation=found.annotation))
    inner = whole.shape.member(found.key)
    if inner is None:
        why = f"{whole.name}{written}: this part of {whole.shape} is not written out when it is sent"
        raise DefinitionRefused(place.here().says(why))
    return Reference(replace(whole, path=(*whole.path, found.key), annotation=found.annotation, shape=inner))


def _refuse(reference: Reference, what: str, instead: str) -> NoReturn:
    found = origin(reference)
    raise DefinitionRefused(
        place.here().says(
            f"{found.name} ({found.given}) {what}: there is no value yet, a workflow is read before any run; {instead}"
        )
    )


_DECIDE: Final = "let an action decide, and raise a typed failure that on_failure= answers"
_COMPUTE: Final = "compute it in an action"
_BINARY: Final = (
    *("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "divmod", "pow"),
    *("lshift", "rshift", "and", "or", "xor"),
)
_REFUSED: Final = {
    "cannot be a condition (if, and, or, not, while, assert)": (_DECIDE, ("bool",)),
    "cannot be compared": (_DECIDE, ("eq", "ne", "lt", "le", "gt", "ge")),
    "cannot be searched with in": (_DECIDE, ("contains",)),
    "cannot be looped over or unpacked": ("hand the whole list to one action", ("iter", "next", "reversed")),
    "has no length": (_COMPUTE, ("len", "length_hint")),
    "cannot become text (str, f-string, format, print)": (
        "pass its parts to the action and write the text there",
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
    def refused(self: Reference, *_: object) -> NoReturn:
        _refuse(self, what, instead)

    return refused


for _what, (_instead, _words) in _REFUSED.items():
    for _word in _words:
        setattr(Reference, f"__{_word}__", _refusing(_what, _instead))
