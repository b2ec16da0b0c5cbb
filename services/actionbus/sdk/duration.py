"""Durations as people write them: ``"1s"``, ``"5m"``, ``"1h30m"``, a timedelta, or a number of seconds."""

import re
from datetime import timedelta
from math import inf
from typing import Final

from actionbus.contracts.decisions import HEARTBEAT_LEAST_MS
from actionbus.contracts.errors import DefinitionRefused
from actionbus.contracts.moments import LATEST_MS

Duration = str | int | float | timedelta

_UNITS_MS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_LONGEST_MS: Final = LATEST_MS  # beyond it there is no time to wait for
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_WHOLE: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+")


def milliseconds(value: Duration, *, what: str) -> int:
    """A duration in whole milliseconds; raise DefinitionRefused when it is none, or negative. ``what`` names it."""
    return round(_exact(value, what))


def silence(heartbeat: Duration | None) -> int | None:
    """How long an attempt may say nothing, in milliseconds; None: as long as it likes. Raises DefinitionRefused."""
    if heartbeat is None:
        return None
    found = milliseconds(heartbeat, what="heartbeat")
    if found < HEARTBEAT_LEAST_MS:
        raise DefinitionRefused(
            f"a heartbeat of {found} ms cannot tell silence from delay: use {HEARTBEAT_LEAST_MS} ms or more"
        )
    return found


def _exact(value: Duration, what: str) -> float:
    if isinstance(value, timedelta):
        found = value.total_seconds() * 1_000
    elif isinstance(value, str):
        if _WHOLE.fullmatch(value) is None:
            raise DefinitionRefused(f'{what} {value!r} is no duration: write "250ms", "1s", "5m", "1h30m" or "2d"')
        found = sum(float(number) * _UNITS_MS[unit] for number, unit in _PART.findall(value))
    else:
        found = value * 1_000.0 if abs(value) <= _LONGEST_MS else inf  # larger ones are no float
    if not 0 <= found <= _LONGEST_MS:
        raise DefinitionRefused(f"{what} {value!r:.80} is no duration: it must be finite, short of ages, not negative")
    return found
