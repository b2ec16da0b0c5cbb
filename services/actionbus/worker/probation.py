"""Commands that may have killed the worker before this one, and how they are begun again.

Which code killed a process cannot be asked afterwards: exits of the interpreter, memory that is gone, ``kill -9``. So
what a killed owner may have been at work on is begun only when that stands beside the offset of its partition, where
the next owner finds it. What was begun so more than once is begun with no other suspect beside it in the whole process,
so that the innocent end and only the guilty is counted again. What workers keep dying of is set aside.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from actionbus.contracts.errors import CommandDeadly, Unavailable
from actionbus.worker.answering import Answering
from actionbus.worker.attempts import Attempt, Attempts
from actionbus.worker.holdings import Holdings

ALONE_FROM: Final = 2  # times begun: the first time many are under suspicion, the second time most have ended
PAUSE_SECONDS: Final = 0.1  # between two looks at what is under way

_log = structlog.get_logger(__name__)


class Suspects:
    """What is suspected and under way in this process, whatever lane began it: they die together."""

    def __init__(self, attempts: Attempts) -> None:
        self.turn = asyncio.Lock()  # of the lane that begins some now, or one alone
        self._attempts = attempts
        self._under_way: dict[Attempt, Holdings] = {}

    def add(self, attempt: Attempt, holdings: Holdings) -> None:
        """Count one in, until its end is on record. ``holdings``: those of its lane."""
        self._under_way[attempt] = holdings

    async def ended(self) -> None:
        """Wait until every suspect is answered for good, and that is on record: any other would be counted again."""
        while self._under_way:
            await asyncio.sleep(PAUSE_SECONDS)
            over = [each for each in self._under_way if not self._attempts.holds(each)]
            try:
                for holdings in {self._under_way[each] for each in over}:
                    await holdings.commit()
            except Unavailable as error:
                _log.warning("it is not on record yet what has ended", reason=str(error))
                continue
            for each in over:
                del self._under_way[each]


class Probation:
    """Begins suspected attempts of one lane. ``start`` begins one; so many ``crashes`` may a command cost."""

    def __init__(
        self,
        holdings: Holdings,
        answering: Answering,
        attempts: Attempts,
        suspects: Suspects,
        *,
        crashes: int,
        start: Callable[[Attempt], None],
    ) -> None:
        self._holdings = holdings
        self._answering = answering
        self._attempts = attempts
        self._crashes = crashes
        self._alone_from = min(ALONE_FROM, crashes - 2)  # whoever is set aside was alone before
        self._start = start
        self._suspects = suspects
        self._waiting: deque[Attempt] = deque()

    def take(self, suspect: Attempt) -> None:
        """Keep an attempt until it is admitted."""
        self._waiting.append(suspect)

    async def admit(self) -> None:
        """Begin each that was taken or set it aside; returns when others may be begun beside what is under way."""
        while self._waiting:
            times = self._waiting[0].claims[0].times_begun
            if times >= self._crashes - 1:  # the worker that died first had not suspected it
                self._set_aside(self._waiting.popleft())
                continue
            async with self._suspects.turn:
                if times < self._alone_from:
                    await self._begin([each for each in self._waiting if each.claims[0].times_begun < self._alone_from])
                else:
                    await self._suspects.ended()
                    await self._begin([self._waiting[0]])
                    await self._suspects.ended()

    def leave(self) -> None:
        """Forget what waits: it is delivered again, to whoever holds its partition then."""
        for attempt in self._waiting:
            self._attempts.forget(attempt)
        self._waiting.clear()

    async def _begin(self, suspects: Sequence[Attempt]) -> None:
        try:
            begun = await self._holdings.begin([each.claims[0] for each in suspects])
        except Unavailable as error:
            _log.warning("it is not on record yet what is begun", reason=str(error))
            await asyncio.sleep(PAUSE_SECONDS)
            return
        for attempt in suspects:
            if not self._holdings.holds(attempt.claims[0]):
                self._waiting.remove(attempt)
                self._attempts.forget(attempt)
            elif attempt.claims[0] in begun:
                self._waiting.remove(attempt)
                self._start(attempt)
                self._suspects.add(attempt, self._holdings)
        if not begun:
            await asyncio.sleep(PAUSE_SECONDS)

    def _set_aside(self, attempt: Attempt) -> None:
        record = attempt.suspect
        if record is None:
            return
        message = (
            f"{self._crashes} workers were killed while they were at work on command {attempt.command.command_id}: "
            "find out what its code does to the process, for example os._exit or too much memory"
        )
        self._answering.quarantine(attempt, record, CommandDeadly(message))
