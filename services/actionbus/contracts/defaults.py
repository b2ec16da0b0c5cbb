"""Defaults of a JSON Schema, filled into a value from outside: whoever leaves a field out means its default.

A run reads what it was given by reference and nobody reads it into Python first, so this is where it becomes complete.
"""

from typing import Any, Final

from actionbus.contracts import payloads
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.payloads import Json

MOST_BYTES: Final = 262_144  # of defaults in one value: a long list of empty objects may stand for very much
_MOST_HOPS: Final = 32  # references and alternatives followed for one value; a schema may name itself
_MOST_VISITS: Final = 500_000  # several for every value that a payload can hold
_KINDS: Final[dict[type, tuple[str, ...]]] = {
    type(None): ("null",),
    bool: ("boolean",),
    int: ("integer", "number"),
    float: ("number", "integer"),
    str: ("string",),
    list: ("array",),
    dict: ("object",),
}


def filled(schema: Json, value: Json) -> Json:
    """The value with every field that is not there and has a default; the same object when there is none.

    Raises PayloadRefused when that would be too much. Whether the value fits is not looked at.
    """
    try:
        return _Filling(schema).value(schema, value, 0)
    except RecursionError:
        raise PayloadRefused("the value is nested too deep for its defaults to be filled in") from None


class _Filling:
    """One value that is being completed."""

    def __init__(self, root: Json) -> None:
        self._root = root
        self._bytes = self._visits = 0

    def value(self, node: Json, value: Json, hops: int) -> Json:
        """What becomes of a value that has to fit a schema."""
        if not isinstance(node, dict) or hops > _MOST_HOPS or not isinstance(value, dict | list):
            return value
        self._visits += 1
        if self._visits > _MOST_VISITS:
            raise PayloadRefused("its schema names itself too often for its defaults to be filled in")
        if isinstance(node.get("$ref"), str):
            value = self.value(self._named(node["$ref"]), value, hops + 1)
        for each in node.get("allOf", ()):
            value = self.value(each, value, hops + 1)
        choices = node.get("anyOf", node.get("oneOf", ()))
        chosen = next((each for each in choices if self._may_fit(each, value, hops + 1)), None)
        if chosen is not None:
            value = self.value(chosen, value, hops + 1)
        return self._object(node, value) if isinstance(value, dict) else self._list(node, value)

    def _object(self, node: dict[str, Json], value: dict[str, Json]) -> dict[str, Json]:
        fields, rest = node.get("properties", {}), node.get("additionalProperties")
        if not isinstance(fields, dict):
            return value
        inner = {name: self.value(fields.get(name, rest), each, 0) for name, each in value.items()}
        for name, field in fields.items():
            if name not in inner and isinstance(field, dict) and "default" in field:
                inner[name] = self._counted(field["default"])
        return value if len(inner) == len(value) and all(inner[name] is value[name] for name in value) else inner

    def _list(self, node: dict[str, Json], value: list[Json]) -> list[Json]:
        first, rest = node.get("prefixItems", ()), node.get("items")
        inner = [self.value(first[at] if at < len(first) else rest, each, 0) for at, each in enumerate(value)]
        return value if all(new is old for new, old in zip(inner, value, strict=True)) else inner

    def _counted(self, default: Json) -> Json:
        self._bytes += len(payloads.encode(default))
        if self._bytes > MOST_BYTES:
            raise PayloadRefused(f"its defaults have more than {MOST_BYTES} bytes: pass a reference to it instead")
        return default

    def _may_fit(self, node: Json, value: Json, hops: int) -> bool:
        """Whether the value could be meant for this alternative: by its kind, and the fields that tell them apart."""
        if not isinstance(node, dict):
            return node is True
        if isinstance(node.get("$ref"), str):
            return hops <= _MOST_HOPS and self._may_fit(self._named(node["$ref"]), value, hops + 1)
        kinds = node.get("type")
        known = _KINDS[type(value)]
        if isinstance(kinds, str | list) and not any(each in kinds for each in known):
            return False
        if not isinstance(value, dict):
            return True
        fields = node.get("properties", {})
        told = ((field, value[name]) for name, field in fields.items() if name in value and isinstance(field, dict))
        needed = (name for name in node.get("required", ()) if "default" not in fields.get(name, {}))
        return all(_tells(*each) for each in told) and all(name in value for name in needed)

    def _named(self, reference: str) -> Any:
        node = self._root
        for part in reference.removeprefix("#").split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            node = node.get(key) if isinstance(node, dict) else None
        return node if reference.startswith("#") else None


def _tells(field: dict[str, Json], value: Json) -> bool:
    return ("const" not in field or field["const"] == value) and value in field.get("enum", [value])
