"""Whether a value of one shape is always a value of another.

Only what a type checker would compare is compared: kinds, fields, items, alternatives, fixed values. Lengths, ranges
and patterns are checked when the value is there.
"""

from collections.abc import Mapping
from typing import Any

from actionbus.sdk.shape import FORMATS, Shape, kind_of


def mismatch(given: Shape, expected: Shape) -> str | None:
    """Why a value of one shape is not always a value of another, in words; None when it fits."""
    return _mismatch(given, expected, "", frozenset())


def _mismatch(given: Shape, expected: Shape, at: str, seen: frozenset[tuple[int, int]]) -> str | None:
    pair = (id(given.node), id(expected.node))
    if pair in seen or given.anything or expected.anything:
        return None
    for each in given.alternatives:
        reasons = [_one(each, option, at, seen | {pair}) for option in expected.alternatives]
        if None in reasons:
            continue
        if len(reasons) == 1 and reasons[0] is not None and len(given.alternatives) == 1:
            return reasons[0]
        return _wrong(given, expected, at)
    return None


def _one(given: Shape, expected: Shape, at: str, seen: frozenset[tuple[int, int]]) -> str | None:
    if given.anything or expected.anything:
        return None
    if not _same_kind(given, expected):
        return _wrong(given, expected, at)
    match expected.get("type"):
        case "array":
            return _array(given, expected, at, seen)
        case "object":
            return _object(given, expected, at, seen)
        case _:
            return None


def _same_kind(given: Shape, expected: Shape) -> bool:
    wanted, ours, theirs = expected.get("type"), given.values, expected.values
    if theirs is not None:
        return ours is not None and all(each in theirs for each in ours)
    kinds = {given.get("type")} if ours is None else {kind_of(each) for each in ours}
    if not all(kind == wanted or (kind == "integer" and wanted == "number") for kind in kinds):
        return False
    own = expected.get("format")
    return wanted != "string" or ours is not None or own not in FORMATS or own == given.get("format")


def _wrong(given: Shape, expected: Shape, at: str) -> str:
    return f"{at + ': ' if at else ''}{expected} is expected, {given} is given"


def _array(given: Shape, expected: Shape, at: str, seen: frozenset[tuple[int, int]]) -> str | None:
    places = max(len(given.get("prefixItems", ())), len(expected.get("prefixItems", ())))
    open_ended = given.get("items", not given.get("prefixItems", ())) is not False
    if open_ended and expected.get("prefixItems", ()):
        return _wrong(given, expected, at)
    for index in range(places + open_ended):
        ours, theirs = given.member(index), expected.member(index)
        if ours is None or theirs is None:
            return _wrong(given, expected, at)
        reason = _mismatch(ours, theirs, f"{at}[{index}]" if places else f"{at}[...]", seen)
        if reason is not None:
            return reason
    return None


def _object(given: Shape, expected: Shape, at: str, seen: frozenset[tuple[int, int]]) -> str | None:
    lead = f"{at}: " if at else ""
    fields: Mapping[str, Any] = given.get("properties", {})
    sure = given.get("required", ())
    for name in expected.get("required", ()):
        if name not in sure:
            return f"{lead}{expected} needs the field {name}; {_fields(given)}"
    for name in fields:
        ours, theirs = given.member(name), expected.member(name)
        if theirs is None and expected.get("additionalProperties") is False:
            return f"{lead}{expected} has no field {name}; {_fields(expected)}"
        reason = None if ours is None or theirs is None else _mismatch(ours, theirs, f"{at}.{name}".lstrip("."), seen)
        if reason is not None:
            return reason
    rest, wanted = given.get("additionalProperties"), expected.get("additionalProperties")
    if isinstance(rest, (Mapping, Shape)) and isinstance(wanted, (Mapping, Shape)):
        return _mismatch(given.inner(rest), expected.inner(wanted), f"{at}[...]", seen)
    return None


def _fields(shape: Shape) -> str:
    names = ", ".join(shape.get("properties", {}))
    return f"{shape} has {names or 'no fields'}"
