"""JSON payloads as bytes: one canonical form, strict reading. Which schema a payload has to fit is not decided here."""

import json
from math import isinf
from typing import Any, Final

from actionbus.contracts.errors import PayloadRefused

Json = Any  # what json.loads gives: dict, list, str, int, float, bool or None


def encode(value: Json) -> bytes:
    """Canonical JSON: sorted keys, no spaces, UTF-8. Raises PayloadRefused for what JSON cannot say (NaN, objects)."""
    try:
        return _ENCODER.encode(value).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise PayloadRefused(f"the value cannot be written as JSON: {error}") from error


def decode(data: bytes) -> Json:
    """Read JSON strictly; whatever it gives, ``encode`` can write again.

    Refused with PayloadRefused: other encodings than UTF-8, duplicate keys, NaN, Infinity and numbers too large for a
    float, halves of surrogate pairs, nesting deeper than Python's stack.
    """
    try:
        value = _DECODER.decode(data.decode("utf-8"))
        if _SURROGATE in data.lower():
            encode(value)
    except (ValueError, RecursionError) as error:
        raise PayloadRefused(f"the payload is no JSON: {error}") from error
    return value


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has the same key twice")
    return found


def _no_constant(text: str) -> Json:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    value = float(text)
    if isinf(value):
        raise ValueError(f"{text} is too large for a number")
    return value


_SURROGATE: Final = b"\\ud"  # the only way to say half a surrogate pair in UTF-8
_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)
