"""What the exit code of a command says. Codes of services stand in ``process.shutdown`` and are the same here."""

from enum import IntEnum
from typing import Self

from actionbus.contracts.errors import Conflict, Refused, RunFailed, Unavailable
from actionbus.process.shutdown import ExitCode


class CommandExit(IntEnum):
    """What only commands end with; each member carries its meaning."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        """A code with its meaning."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    CONFLICT = 4, "What is there does not allow it: a taken run id, an ended run, another content, other partitions."
    RUN_FAILED = 5, "The run that was waited for ended without success."
    UNAVAILABLE = 6, "Kafka or an orchestrator did not answer in time: try again."


def meanings() -> dict[int, str]:
    """Every code that a command can end with."""
    return {code.value: code.meaning for code in (*ExitCode, *CommandExit)}


def code_of(error: BaseException) -> int:
    """The code for an error that ends a command."""
    match error:
        case KeyboardInterrupt():
            return ExitCode.INTERRUPTED
        case Conflict():
            return CommandExit.CONFLICT
        case RunFailed():
            return CommandExit.RUN_FAILED
        case Unavailable():
            return CommandExit.UNAVAILABLE
        case Refused():
            return ExitCode.USAGE
        case _:
            return ExitCode.ERROR
