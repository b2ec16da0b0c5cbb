"""What a part of a workflow gives: its template, its type in Python as far as that is known, and its shape."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import NoneType
from typing import Any, Never, Union

from actionbus.contracts.payloads import Json
from actionbus.sdk import reference, shape
from actionbus.sdk.expression import Expression
from actionbus.sdk.reference import Reference
from actionbus.sdk.shape import Shape
from actionbus.sdk.template import Built


@dataclass(frozen=True, slots=True)
class Given:
    """A value that a node gives."""

    template: Json
    annotation: Any
    shape: Shape


UNREACHED = Given(None, Never, shape.NEVER)


def annotation_of(value: Any) -> Any:  # noqa: PLR0911 - a table of cases
    """The type of a value that a workflow returns or hands on."""
    match value:
        case Reference():
            found = reference.origin(value)
            return either([found.annotation, NoneType]) if found.unseen else found.annotation
        case Expression():
            return Any
        case Built():
            return value.model
        case None:
            return NoneType
        case Mapping():
            return dict[str, either([annotation_of(each) for each in value.values()])]
        case list():
            return list[either([annotation_of(each) for each in value])]
        case tuple() if not hasattr(value, "_fields"):
            return tuple[tuple(annotation_of(each) for each in value)]
        case _:
            return type(value)


def either(annotations: Sequence[Any]) -> Any:
    """The type of a value that has one of these."""
    there = [each for each in annotations if each is not Never]
    if any(each is Any for each in there):
        return Any
    return Union[tuple(there)] if there else Never  # noqa: UP007 - made at run time


def takes(function: Callable[..., Any]) -> int:
    """How many values a function has to be given."""
    parameters = inspect.signature(function).parameters.values()
    return sum(each.default is each.empty and each.kind is not each.VAR_KEYWORD for each in parameters)
