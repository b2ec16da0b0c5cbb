"""Stand-ins for actions: what they answer, attempt by attempt."""

from collections.abc import Callable
from typing import Any, Final, NoReturn


class NoAnswer(BaseException):
    """An attempt gives no answer at all, like a worker that was switched off in the middle of it."""


class Never:
    """In ``answers``: this attempt gives no answer, so its timeout decides."""

    def __repr__(self) -> str:
        """For debuggers."""
        return "never"

    def __call__(self, **_: object) -> NoReturn:
        """Give no answer."""
        raise NoAnswer


never: Final = Never()


def answers(*script: Any) -> Callable[..., Any]:
    """A stand-in for an action that answers by a script: one answer for each attempt, the last one from then on.

    An exception (or its class) is raised, ``never`` gives no answer, anything else is returned.
    """
    if not script:
        raise ValueError("answers() needs at least one answer")
    waiting = list(script)

    def answer(**_: object) -> Any:
        now = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(now, Never):
            raise NoAnswer
        if isinstance(now, BaseException) or (isinstance(now, type) and issubclass(now, BaseException)):
            raise now
        return now

    return answer
