"""Shapes of JSON values: a JSON Schema seen as what a value may look like, with its parts and its name in Python."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from actionbus.sdk import schema

_PYTHON: Final = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
FORMATS: Final = {
    "date-time": "datetime",
    "date": "date",
    "time": "time",
    "duration": "timedelta",
    "uuid": "UUID",
}  # formats that are Python types of their own; text without them does not fit


@dataclass(frozen=True, slots=True)
class Shape:
    """One JSON Schema, with the definitions that its references name. Nested schemas may be shapes already."""

    node: Mapping[str, Any] | bool
    definitions: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def inner(self, node: Any) -> "Shape":
        """The shape of a nested schema, references followed."""
        shape = node if isinstance(node, Shape) else Shape(node, self.definitions)
        while isinstance(shape.node, Mapping) and "$ref" in shape.node:
            shape = Shape(shape.definitions[str(shape.node["$ref"]).rpartition("/")[2]], shape.definitions)
        return shape

    def get(self, word: str, default: Any = None) -> Any:
        """What the schema says under a word."""
        return self.node.get(word, default) if isinstance(self.node, Mapping) else default

    @property
    def alternatives(self) -> list["Shape"]:
        """What a value may be, one by one; a shape that offers no choice is its own only alternative."""
        for word in ("anyOf", "oneOf"):
            choices = self.get(word)
            if choices is not None:
                return [last for each in choices for last in self.inner(each).alternatives]
        kinds = self.get("type")
        if isinstance(kinds, list) and isinstance(self.node, Mapping):
            return [Shape({**self.node, "type": kind}, self.definitions) for kind in kinds]
        return [self]

    @property
    def anything(self) -> bool:
        """Whether every value is of this shape, as far as it says."""
        if isinstance(self.node, Mapping):
            return not any(word in self.node for word in _TELLING)
        return self.node

    @property
    def values(self) -> list[Any] | None:
        """The only values there are, or None when they are not fixed."""
        return [self.get("const")] if self.get("const", _ABSENT) is not _ABSENT else self.get("enum")

    def member(self, key: str | int) -> "Shape | None":
        """The shape of a field or an item; None when there is none of that key, in any of the alternatives."""
        if self.anything:
            return ANYTHING
        choices = self.alternatives
        if len(choices) > 1:
            found = [each.member(key) for each in choices]
            known = [each for each in found if each is not None]
            return either(known) if len(known) == len(found) else None
        if isinstance(key, int):
            first = self.get("prefixItems", ())
            if key < len(first):
                return self.inner(first[key])
            return self.inner(self.get("items", True)) if self.get("items", not first) is not False else None
        fields = self.get("properties", {})
        if key in fields:
            return self.inner(fields[key])
        rest = self.get("additionalProperties", bool(not fields))
        return None if rest is False else self.inner(rest)

    def __str__(self) -> str:
        """The shape as a Python type would be written."""
        return " | ".join(dict.fromkeys(_shown(each) for each in self.alternatives))


_TELLING: Final = ("type", "anyOf", "oneOf", "const", "enum", "$ref")
_ABSENT: Final = object()
ANYTHING: Final = Shape(node=True)
NOTHING: Final = Shape({"type": "null"})
NEVER: Final = Shape({"anyOf": []})
"""No value at all: what is never reached. It fits everywhere."""


def of(annotation: Any, side: schema.Side) -> Shape:
    """The shape of a Python type where it is accepted, given, or started with."""
    found = schema.json_schema(annotation, side)
    return Shape(found, found.get("$defs", {})).inner(found)


def of_value(value: Any) -> Shape:
    """The shape that only this JSON value has."""
    match value:
        case dict():
            return of_object({name: of_value(each) for name, each in value.items()})
        case list():
            return of_list([of_value(each) for each in value])
        case _:
            return Shape({"const": value, "type": kind_of(value)})


def of_object(fields: Mapping[str, Shape], title: str = "dict") -> Shape:
    """The shape of an object that has exactly these fields."""
    return Shape(
        {
            "type": "object",
            "title": title,
            "properties": fields,
            "required": list(fields),
            "additionalProperties": False,
        }
    )


def of_list(items: list[Shape]) -> Shape:
    """The shape of a list of exactly these items."""
    return Shape({"type": "array", "prefixItems": items, "items": False})


def or_none(shape: Shape) -> Shape:
    """The same, or null."""
    return shape if shape.anything else Shape({"anyOf": [shape, NOTHING]})


def either(shapes: Sequence[Shape]) -> Shape:
    """The shape of a value that has one of these."""
    there = [each for each in shapes if each is not NEVER]
    if any(each.anything for each in there):
        return ANYTHING
    if not there:
        return NEVER
    return there[0] if len(there) == 1 else Shape({"anyOf": there})


def list_of(item: Shape) -> Shape:
    """The shape of a list of any length."""
    return Shape({"type": "array", "items": item})


def items(shape: Shape) -> Shape | None:
    """The shape of what a list of this shape holds; None when it may be something else than a list."""
    if shape.anything:
        return ANYTHING
    found: list[Shape] = []
    for each in shape.alternatives:
        if each.get("type") != "array":
            return None
        first = [each.inner(one) for one in each.get("prefixItems", ())]
        rest = each.get("items", not first)
        found += first if rest is False else [*first, each.inner(rest)]
    return either(found)


def _shown(shape: Shape) -> str:
    if shape.anything:
        return "Any"
    values = shape.values
    kind = shape.get("type")
    if values is not None and kind not in ("object", "array"):
        title = shape.get("title")
        return (
            title if title is not None and shape.get("enum") is not None else f"Literal[{', '.join(map(repr, values))}]"
        )
    if kind == "object":
        return _shown_object(shape)
    if kind == "array":
        return f"list[{', '.join(_items(shape))}]"
    return FORMATS.get(shape.get("format", ""), _PYTHON.get(str(kind), str(kind)))


def _shown_object(shape: Shape) -> str:
    if shape.get("properties") is not None:
        return str(shape.get("title", "dict"))
    rest = shape.member("")
    return f"dict[str, {rest if rest is not None else 'Any'}]"


def _items(shape: Shape) -> Iterator[str]:
    first = shape.get("prefixItems", ())
    yield from (str(shape.inner(each)) for each in first)
    if not first:
        yield str(shape.member(0) or "Any")


_KINDS: Final[dict[type, str]] = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def kind_of(value: Any) -> str:
    """JSON's word for the kind of a value."""
    return _KINDS[type(value)]
