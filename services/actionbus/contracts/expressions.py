"""Expressions in the Common Expression Language (CEL): a value computed from named values, and nothing else.

An expression sees no clock, no state and no reference: whatever it reads is bound to a name beside it. It always ends,
and its cost is bounded before it is deployed: its text is short, and one comprehension may not stand inside another.
Source of the language: github.com/google/cel-spec.
"""

import datetime as dt
import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from math import isfinite
from typing import Any, Final

import cel

from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.payloads import Json

MOST_CHARACTERS: Final = 2_000  # a longer text is a program: it belongs into an action
_COMPREHENSION: Final = re.compile(r"\.\s*(?:map|filter|all|exists|exists_one)\s*\(\s*(\w*)")
_TEXT: Final = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|//[^\n]*")
_COMPILED: Final = 4_096  # programs kept: more than one shard meets in its definitions


def evaluate(text: str, names: Mapping[str, Json]) -> Json:
    """The value of an expression, as JSON; raises PayloadRefused with the reason when it has none."""
    try:
        value = _program(text).execute(dict(names))
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
    code = _TEXT.sub("''", text)
    own = {match[1] for match in _COMPREHENSION.finditer(code)}
    for name in program.variables():
        if name not in names and name not in own:
            known = ", ".join(sorted(names)) or "no names"
            yield f"{shown(text)} reads {name}, which is not bound: it knows {known}"
    if _nested(code):
        yield f"{shown(text)} goes through a list inside a list: its cost would have no bound, let an action compute it"


def shown(text: str) -> str:
    """The expression for a message."""
    return repr(text if len(text) <= 80 else f"{text[:77]}...")  # noqa: PLR2004 - a line of a terminal


@lru_cache(maxsize=_COMPILED)
def _program(text: str) -> Any:
    return cel.compile(text)


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
