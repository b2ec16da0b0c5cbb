"""How a process ends: the first signal asks, the grace period limits, the second signal ends at once.

Whoever works watches ``requested`` and finishes. What finishing means is the service's business.
"""

import asyncio
import os
import signal
import threading
from enum import IntEnum
from types import FrameType, TracebackType
from typing import Any, Final, Self

import structlog

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

_log = structlog.get_logger(__name__)


class ExitCode(IntEnum):
    """What the exit code of an actionbus process says; each member carries its meaning."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        """A code with its meaning."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    CLEAN = 0, "It did what it was asked, or finished in good order after a signal."
    ERROR = 1, "It failed; the last log line says why."
    USAGE = 2, "Its arguments, settings or input make no sense; nothing was done."
    GRACE_EXPIRED = 3, "It did not finish within its grace period. Nothing is lost: others take over what was open."
    INTERRUPTED = 130, "It was interrupted (SIGINT) a second time and ended at once."
    TERMINATED = 143, "It was terminated (SIGTERM) a second time and ended at once."


class Shutdown:
    """Turns SIGTERM and SIGINT into the event ``requested`` while it is entered; main thread only.

    ``grace_seconds`` after the request the process is ended with GRACE_EXPIRED, by a thread of its own, so that it also
    ends when the event loop is stuck. Everything this product promises must hold for a kill at any moment: that is why
    ending hard is safe.
    """

    def __init__(self, *, grace_seconds: float) -> None:
        self.grace_seconds = grace_seconds
        self.requested = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._previous: dict[signal.Signals, Any] = {}
        self._signalled = False
        self._limit: threading.Timer | None = None

    def request(self, reason: str) -> None:
        """Ask the process to end, as a first signal does; in the loop's thread. Asking again changes nothing."""
        if self.requested.is_set():
            return
        _log.info("shutting down", reason=reason, grace_seconds=self.grace_seconds)
        self.requested.set()
        self._limit = threading.Timer(self.grace_seconds, _end, [ExitCode.GRACE_EXPIRED, b"the grace period is over"])
        self._limit.daemon = True
        self._limit.start()

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        for each in SIGNALS:
            # Not loop.add_signal_handler: a second signal has to end the process also when the loop is stuck.
            self._previous[each] = signal.signal(each, self._receive)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._limit is not None and not self._signalled:
            self._limit.cancel()  # after a signal it stays: a thread of user code may keep the interpreter alive
        for each, handler in self._previous.items():
            signal.signal(each, handler)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self._signalled:
            _end(128 + number, b"interrupted twice: ending at once")
        self._signalled = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.request, signal.Signals(number).name)


def _end(code: int, why: bytes) -> None:
    # os.write and os._exit: a signal may have interrupted the very code that holds the lock of a log stream.
    os.write(2, b"actionbus: " + why + b"\n")
    os._exit(code)
