"""Expressions in the Common Expression Language (CEL): a value computed from named values, and nothing else.

An expression sees no clock, no state and no reference: whatever it reads is bound to a name beside it. It always ends,
and its cost is bounded: its text is short, one comprehension may not stand inside another, and what goes through a list
is computed as ``comprehensions`` says.
Source of the language: github.com/google/cel-spec.
"""

import datetime as dt
import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from math import isfinite
from typing import Any, Final

from actionbus.contracts import comprehensions, programs
from actionbus.contracts.comprehensions import Part
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.payloads import Json

MOST_CHARACTERS: Final = 2_000  # a longer text is a program: it belongs into an action
_COMPREHENSION: Final = re.compile(r"\.\s*(?:map|filter|all|exists|exists_one)\s*\(\s*(\w*)")
_MOST_JOINED: Final = 50_000_000  # each + copies what the ones before it gave
_COMPILED: Final = 4_096  # programs kept: more than one shard meets in its definitions


def evaluate(text: str, names: Mapping[str, Json]) -> Json:
    """The value of an expression, as JSON; raises PayloadRefused with the reason when it has none."""
    try:
        value = _value(text, names)
    except Exception as error:
        raise PayloadRefused(f"the expression {shown(text)} has no value: {_reason(error)}") from error
    return _json(value, text)


def mistakes(text: str, names: Collection[str]) -> Iterator[str]:
    """Why an expression cannot be deployed; ``names`` are those that will be bound."""
    if len(text) > MOST_CHARACTERS:
        yield f"the expression has {len(text)} characters, the limit is {MOST_CHARACTERS}: let an action compute it"
        return
    try:
        program = _program(text)
    except ValueError as error:
        yield f"{shown(text)} is no CEL expression: {_reason(error)}"
        return
    code = comprehensions.masked(text)
    own = {match[1] for match in _COMPREHENSION.finditer(code)}
    for name in program.variables():
        if name not in names and name not in own:
            known = ", ".join(sorted(names)) or "no names"
            yield f"{shown(text)} reads {name}, which is not bound: it knows {known}"
    if _nested(code):
        yield f"{shown(text)} goes through a list inside a list: its cost would have no bound, let an action compute it"


def strangers(text: str, name: str, schema: Json) -> Iterator[str]:
    """Members of a name that its schema does not know, where it lists those there are."""
    known = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(known, dict):
        return
    for member in re.findall(rf"\b{name}\.(\w+)\b(?!\s*\()", comprehensions.masked(text)):
        if member not in known:
            yield f"{shown(text)} reads {name}.{member}: the {name} has {', '.join(sorted(known)) or 'nothing'}"


def shown(text: str) -> str:
    """The expression for a message."""
    return repr(text if len(text) <= 80 else f"{text[:77]}...")  # noqa: PLR2004 - a line of a terminal


def _value(text: str, names: Mapping[str, Json]) -> Any:
    """What the expression gives; a part without a value counts only where it is reached."""
    if len(text) > MOST_CHARACTERS:  # nobody has deployed it: a template may also come with a command
        raise PayloadRefused(f"it has {len(text)} characters, the limit is {MOST_CHARACTERS}")
    parts, rest = _parts(text)
    if rest.count("+") ** 2 * sum(map(comprehensions.weight, names.values())) > _MOST_JOINED:
        raise PayloadRefused("it would join large values too often: let an action compute it")
    known, lost = dict(names), list[Exception]()
    for part in parts:
        try:
            known[part.name] = part.value(known)
        except Exception as error:  # noqa: BLE001 - whatever the library raises
            lost.append(error)
    try:
        return _program(rest).execute(known)
    except Exception:
        if lost:
            raise lost[0] from None
        raise


@lru_cache(maxsize=_COMPILED)
def _parts(text: str) -> tuple[tuple[Part, ...], str]:
    return comprehensions.taken_out(text)


@lru_cache(maxsize=_COMPILED)
def _program(text: str) -> Any:
    return programs.compiled(text)


def _nested(code: str) -> bool:
    """Whether a comprehension stands inside the parentheses of another."""
    for match in _COMPREHENSION.finditer(code):
        depth, place = 1, match.end()
        while depth and place < len(code):
            depth += {"(": 1, ")": -1}.get(code[place], 0)
            place += 1
        if _COMPREHENSION.search(code, match.end(), place):
            return True
    return False


def _json(value: Any, text: str) -> Json:
    match value:
        case float() if not isfinite(value):
            raise PayloadRefused(f"the expression {shown(text)} gives a number that JSON cannot say: {value}")
        case None | bool() | int() | float() | str():
            return value
        case list() | tuple():
            return [_json(each, text) for each in value]
        case dict() if all(isinstance(key, str) for key in value):
            return {key: _json(each, text) for key, each in value.items()}
        case dt.datetime() | dt.timedelta():
            raise PayloadRefused(f"the expression {shown(text)} gives a time: write string(...) around it")
        case _:
            raise PayloadRefused(f"the expression {shown(text)} gives what JSON cannot say: {type(value).__name__}")


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"there is no {error.args[0]}"
    return str(error).partition("\n")[0].partition(". CEL does not coerce")[0]
