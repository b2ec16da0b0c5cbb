"""What the data of entries says, read kindly: a newer version may say it otherwise, and the event itself is kept."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from actionbus.contracts import payloads
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.events import EventEntry

ERROR_CHARS: Final = 4_096  # of a message in the tables; the event has all of it


def opened(data: bytes | None) -> Mapping[str, Any]:
    """The object in the data of an entry; an empty one where there is none."""
    found = value(data)
    return found if isinstance(found, dict) else {}


def value(data: bytes | None) -> Any:
    """The value in the data of an entry; None where there is none."""
    try:
        return None if data is None else payloads.decode(data)
    except PayloadRefused:  # a newer version says it otherwise; the event itself is kept
        return None


def error(entry: EventEntry) -> tuple[str | None, str | None]:
    """Type and message of the error that an entry tells of."""
    told = opened(entry.data)
    return cut(told.get("type")) or "Unknown", cut(told.get("message")) or cut(entry.reason)


def cut(text: object) -> str | None:
    """A text as it stands in the tables."""
    return None if text is None else str(text).replace("\x00", "")[:ERROR_CHARS]  # PostgreSQL has no NUL in text


def time(until: object) -> str:
    """A time of an entry, in words."""
    if not isinstance(until, int):
        return f"{until}"
    return datetime.fromtimestamp(until / 1000, UTC).isoformat().replace("+00:00", "Z")
