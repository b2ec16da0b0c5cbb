"""Where in the user's own files something was written, so that every refusal can name its line."""

import inspect
import linecache
import os
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

_OWN: Final = f"{Path(__file__).parent}{os.sep}"


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file."""

    file: str
    line: int

    def __str__(self) -> str:
        """``app.py:12``, relative to the working directory when the file lies below it."""
        path = Path(self.file)
        shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        return f"{shown}:{self.line}"

    @property
    def source(self) -> str:
        """The text of the line, without its indentation; empty when the file cannot be read."""
        return linecache.getline(self.file, self.line).strip()

    def says(self, message: str) -> str:
        """A message that begins with this place and shows its line."""
        return f"{self}: {message}" + (f"\n    {self.source}" if self.source else "")


UNKNOWN: Final = Place("<unknown>", 0)


def here() -> Place:
    """The line of user code that is being executed: the nearest caller outside this package."""
    frame = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename.startswith(_OWN):
        frame = frame.f_back
    return UNKNOWN if frame is None else Place(frame.f_code.co_filename, frame.f_lineno)


def of(function: Any, otherwise: Place) -> Place:
    """Where a function is written; ``otherwise`` for one that is not written in Python."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return otherwise if code is None else Place(code.co_filename, code.co_firstlineno)


def raised_in(trace: TracebackType | None) -> Place:
    """The deepest line of user code of a traceback: outside this package and outside installed packages."""
    places = [Place(frame.filename, frame.lineno or 0) for frame in traceback.extract_tb(trace)]
    own = [each for each in places if not each.file.startswith(_OWN) and "site-packages" not in each.file]
    return (own or places or [UNKNOWN])[-1]
