"""What a workflow holds instead of a value: a reference to the run's input, a step's output, or a part of one.

It offers the parts that the value's type has.
"""

from dataclasses import dataclass, replace
from typing import Any, NoReturn

from actionbus.contracts.errors import DefinitionRefused
from actionbus.contracts.templates import Path
from actionbus.sdk import member, place, shape
from actionbus.sdk.scope import Scope
from actionbus.sdk.shape import Shape
from actionbus.sdk.unknown import Unknown, refuse


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a reference points, and what stands there."""

    path: Path
    annotation: Any
    shape: Shape
    scope: Scope
    """Whose reference it is: it can be read while that is being written."""
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


class Reference(Unknown):
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
        refuse(self, f"cannot be given .{name}", "values do not change: hand the new value to the next action")

    def __called__(self) -> str:
        """Its path and what is there."""
        found = origin(self)
        return f"{found.name} ({found.given})"

    def __repr__(self) -> str:
        """For debuggers."""
        found = origin(self)
        return f"<reference {found.name}: {found.given}>"


def origin(reference: Reference) -> Origin:
    """Where a reference points."""
    return object.__getattribute__(reference, "_Reference__origin")


def standing_for(origin: Origin) -> Any:
    """A reference, which the type checker takes for the value itself."""
    return Reference(origin)


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
