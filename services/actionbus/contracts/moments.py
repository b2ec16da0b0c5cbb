"""Moments as people write them: RFC 3339 text with its zone, or epoch milliseconds."""

from datetime import UTC, datetime
from math import isfinite
from typing import Final

from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.payloads import Json

LATEST_MS: Final = 253_402_300_799_999  # the end of the year 9999, the last that text can say


def moment(value: Json) -> int:
    """Epoch milliseconds of a moment, negative before 1970; raises PayloadRefused for what is none, or has no zone."""
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value)
        except ValueError as error:
            raise PayloadRefused(f"{value!r:.80} is no time: write it as 2026-12-24T18:00:00+01:00") from error
        if found.tzinfo is None:
            raise PayloadRefused(f"{value!r:.80} says no time zone: add Z, or an offset such as +01:00")
        milliseconds = round(found.timestamp() * 1000)
        return milliseconds if milliseconds < 0 else reachable(milliseconds)  # an offset may lead beyond the last year
    if not _amount(value):
        raise PayloadRefused(f"a time is RFC 3339 text or epoch milliseconds, not {value!r:.80}")
    return reachable(round(value))


def length(value: Json) -> int:
    """Milliseconds that somebody waits; raises PayloadRefused for what is no such number."""
    if not _amount(value):
        raise PayloadRefused(f"a time to wait is a number of milliseconds, not {value!r:.80}")
    return reachable(round(value))  # longer than all of time ends nowhere, whenever it begins


def reachable(milliseconds: int) -> int:
    """The same milliseconds; raises PayloadRefused when no text can say them."""
    if not sayable(milliseconds):
        shown = milliseconds if abs(milliseconds) < 10**40 else "such a number of"  # not all of it can be written
        raise PayloadRefused(f"{shown} ms is before 1970 or beyond the year 9999")
    return milliseconds


def sayable(milliseconds: int) -> bool:
    """Whether epoch milliseconds are a time that text can say."""
    return 0 <= milliseconds <= LATEST_MS


def _amount(value: Json) -> bool:
    """Whether it is a number of milliseconds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return value >= 0 and (isinstance(value, int) or isfinite(value))


def compact(milliseconds: int) -> str:
    """A moment in UTC as part of an id: ``20261224T170000Z``, with ``.250`` before the Z where it has milliseconds."""
    seconds, rest = divmod(milliseconds, 1000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%S")
    return f"{text}.{rest:03}Z" if rest else f"{text}Z"


def text(milliseconds: int) -> str:
    """A moment in UTC as RFC 3339 text: ``2026-12-24T17:00:00Z``, with milliseconds where it has any."""
    seconds, rest = divmod(milliseconds, 1000)
    said = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{said}.{rest:03}Z" if rest else f"{said}Z"
