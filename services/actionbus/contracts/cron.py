"""When a cron expression fires in a time zone: a pure function from one moment to the next.

Five fields, minute hour day month weekday, or six with the second first; ``L``, ``LW``, ``#`` and names as the library
cronsim knows them. A local time that the clocks skip or pass twice is dealt with as Debian's cron does it; where it
names one second of the minute, a cron of six fields is dealt with like one of five.
"""

from datetime import datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from actionbus.contracts.errors import PayloadRefused

LONGEST: Final = 200  # characters
FIELDS: Final = (5, 6)
_SECONDS: Final = 60


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
    try:
        begin = datetime.fromtimestamp(after // 1000 - second, zone(zone_name))
        for found in CronSim(expression, begin):
            moment = (round(found.timestamp()) + second) * 1000
            if moment > after:  # in an hour that comes twice the library gives the times of the first one again
                return moment
    except (OverflowError, ValueError):
        pass  # beyond what a calendar knows
    return None
