"""When a cron expression fires in a time zone: a pure function from one moment to the next.

Five fields, minute hour day month weekday, or six with the second first; ``L``, ``LW``, ``#`` and names as the library
cronsim knows them. A local time that the clocks skip or pass twice is dealt with as Debian's cron does it; where it
names one second of the minute, a cron of six fields is dealt with like one of five.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from actionbus.contracts.errors import PayloadRefused

LONGEST: Final = 200  # characters
FIELDS: Final = (5, 6)
_SECONDS: Final = 60
_HOUR, _DAY = 3_600, 86_400  # seconds


@lru_cache(maxsize=1_000)
def zone(name: str) -> ZoneInfo:
    """The time zone of that name, such as Europe/Berlin; raises PayloadRefused when there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # the last two for names that are no names
        raise PayloadRefused(f"there is no time zone {name!r:.80}: use a name such as Europe/Berlin, or UTC") from error


def check(expression: str) -> None:
    """Raise PayloadRefused for what is no cron expression."""
    fields = len(expression.split())
    if len(expression) > LONGEST or fields not in FIELDS:
        raise PayloadRefused(
            f"{expression!r:.80} is no cron expression: it takes minute hour day month weekday, "
            "or second minute hour day month weekday"
        )
    try:
        CronSim(expression, datetime(2000, 1, 1))  # noqa: DTZ001 - only read, and for that it needs no zone
    except (CronSimError, AssertionError) as error:  # the library asserts what some expressions do not keep
        said = str(error) or "a field makes no sense"
        raise PayloadRefused(f"{expression!r:.80} is no cron expression: {said}") from error


def next_after(expression: str, zone_name: str, after: int) -> int | None:
    """The first time after ``after`` at which a checked expression fires; None when there is none within 50 years.

    Both are epoch milliseconds.
    """
    fields = expression.split()
    second = 0
    if len(fields) == FIELDS[-1] and fields[0].isdecimal():
        second, expression = int(fields[0]) % _SECONDS, " ".join(fields[1:])
    where = zone(zone_name)
    try:
        found = _search(expression, where, after, second, after // 1000)
        if found is None:
            return None
        # The library goes on by whole hours, so clocks that change by half an hour lead it past what it looks for,
        # until it begins at a whole hour after the change.
        for change in _changes(where, after // 1000, found // 1000):
            for begin in (change, change + -_past_hour(where, change) % _HOUR):
                earlier = _search(expression, where, after, second, begin - 1)
                if earlier is not None and earlier < found:
                    return earlier
    except (OverflowError, ValueError):
        return None  # beyond what a calendar knows
    return found


def _search(expression: str, where: ZoneInfo, after: int, second: int, begin: int) -> int | None:
    """The first time after ``after`` that is found from ``begin`` on, epoch seconds."""
    for found in CronSim(expression, datetime.fromtimestamp(begin - second, where)):
        moment = (round(found.timestamp()) + second) * 1000
        if moment > after:  # in an hour that comes twice the library gives the times of the first one again
            return moment
    return None


def _past_hour(where: ZoneInfo, at: int) -> int:
    """Seconds since the last whole hour of the local time."""
    local = datetime.fromtimestamp(at, where)
    return local.minute * 60 + local.second


def _changes(where: ZoneInfo, begin: int, end: int) -> Iterator[int]:
    """The moments between two at which the clocks change, all epoch seconds."""

    def offset(at: int) -> timedelta | None:
        return datetime.fromtimestamp(at, where).utcoffset()

    while begin < end:
        until = min(begin + _DAY, end)
        low, high = begin, until
        if offset(low) != offset(high):
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle) == offset(begin) else (low, middle)
            yield high
        begin = until
