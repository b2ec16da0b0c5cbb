"""JSON payloads as bytes: one canonical form, strict reading. Which schema a payload has to fit is not decided here."""

import json
from typing import Any

from actionbus.contracts.errors import PayloadRefused

Json = Any  # what json.loads gives: dict, list, str, int, float, bool or None


def encode(value: Json) -> bytes:
    """Canonical JSON: sorted keys, no spaces, UTF-8. Raises PayloadRefused for what JSON cannot say (NaN, objects)."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise PayloadRefused(f"the value cannot be written as JSON: {error}") from error


def decode(data: bytes) -> Json:
    """Read JSON strictly: duplicate keys, NaN and Infinity are refused with PayloadRefused."""
    try:
        return json.loads(data, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise PayloadRefused(f"the payload is no JSON: {error}") from error


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has the same key twice")
    return found


def _no_constant(text: str) -> Json:
    raise ValueError(f"{text} is not JSON")
