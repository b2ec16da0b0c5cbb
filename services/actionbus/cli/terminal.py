"""Values as a person at a terminal reads them: how long ago, and in which colour."""

import time
from datetime import datetime
from typing import Any, Final

from rich.text import Text

from actionbus.cli import output
from actionbus.cli.board import STATUS_STYLES

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
# The largest unit of which there are two or more, so that the number always says something.
_UNITS: Final = ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (1, "s"))


def ago(text: Any, now: float | None = None) -> Text:
    """How long ago a moment was, or how far ahead it is; what is no moment, as it stands."""
    try:
        moment = datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return Text("" if text is None else output.plain(str(text)))
    passed = int((time.time() if now is None else now) - moment)
    seconds = abs(passed)
    size, unit = next((each for each in _UNITS if seconds >= 2 * each[0]), (1, "s"))
    length = f"{seconds // size} {unit}"
    return Text(f"in {length}" if passed < 0 else f"{length} ago")


def status(text: Any) -> Text:
    """A run's status in its colour."""
    return Text(output.plain(str(text)), style=STATUS_STYLES.get(str(text), ""))


def stuck(text: Any) -> Text:
    """Why an operator is waited for."""
    return Text("" if text is None else output.plain(str(text)), style="red")


RUNS: Final[output.Drawn] = {"since": ago, "status": status, "stuck": stuck}
