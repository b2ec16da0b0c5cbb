"""How a text of CEL becomes a program: the library, without the command line of its own that comes with it."""

import sys
from types import ModuleType
from typing import Any, Final

# Importing the library imports that command line, and with it a toolkit for terminals: no expression needs it, and
# every command and every process of a service would spend a seventh of its start on it.
_COMMAND_LINE: Final = "cel.cli"
_LEFT_OUT: Final = sys.modules.setdefault(_COMMAND_LINE, ModuleType(_COMMAND_LINE))

import cel  # noqa: E402 - it has to be left out before

if not hasattr(_LEFT_OUT, "__file__"):  # whoever asks for it by name gets the real one
    del sys.modules[_COMMAND_LINE], cel.cli


def compiled(text: str) -> Any:
    """The program of an expression; raises ValueError with the reason when it is none."""
    return cel.compile(text)
