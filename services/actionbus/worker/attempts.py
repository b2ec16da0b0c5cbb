"""The attempts that this process has in hand, and the answers it remembers, so that a duplicate does nothing new.

A duplicate of a command that is in hand waits for the same result; one of a finished command gets that result again.
What is done with them is decided by the lane.
"""

import time
from asyncio import Task
from collections import OrderedDict, deque
from dataclasses import dataclass, field

from actionbus.contracts.commands import ActionCommand
from actionbus.contracts.records import InRecord
from actionbus.contracts.results import ActionResult
from actionbus.sdk.context import ActionContext
from actionbus.worker.offsets import Progress


@dataclass(frozen=True, slots=True)
class Claim:
    """The place of a command in the log: finished when the command's result is acknowledged."""

    progress: Progress
    offset: int

    @property
    def suspected(self) -> bool:
        """Whether an owner that was killed may have been at work on it."""
        return self.progress.suspected(self.offset)

    @property
    def times_begun(self) -> int:
        """How often it was begun under suspicion by owners that were killed before it ended."""
        return self.progress.times_begun(self.offset)

    def finish(self) -> None:
        """Nothing more is to be done about the record."""
        self.progress.finish(self.offset)


@dataclass(slots=True, eq=False)
class Attempt:
    """One command from its arrival to the acknowledgement of its result."""

    command: ActionCommand
    claims: list[Claim]
    trace: str | None = None
    suspect: InRecord | None = None  # as it was found, where it may have killed the worker that had it before
    started_at: int = 0  # epoch milliseconds; 0 while it waits
    task: Task[None] | None = None
    due: bool = False  # its task is made and has not taken its first step: cancelled now, it would never run at all
    context: ActionContext | None = None
    cancelled: bool = False  # nobody waits for the result
    expired: bool = False  # it ran longer than it may
    stopped_at: int = 0  # epoch milliseconds, when its code was asked to stop; 0 if it was not
    noticed: bool = False  # the orchestrator was told that it runs
    answered: bool = False  # its result was sent, whatever its code still does
    beats: deque[bytes | None] = field(default_factory=lambda: deque(maxlen=1))  # the latest one, until it is sent
    beaten_at: int = 0  # epoch milliseconds, when the last heartbeat was sent; 0: none was

    def stop(self) -> None:
        """Ask its code to stop: a coroutine is cancelled where it waits, a thread may look at its context."""
        self.stopped_at = time.time_ns() // 1_000_000
        if self.context is not None:
            self.context.cancel()
        if self.task is not None and not self.due:
            self.task.cancel()


@dataclass(slots=True)
class Attempts:
    """All attempts of one process by command id, and its latest results, oldest out first."""

    remembered: int
    remembered_bytes: int
    in_hand: dict[str, Attempt] = field(default_factory=dict[str, Attempt])
    _results: OrderedDict[str, ActionResult] = field(default_factory=OrderedDict[str, ActionResult])
    _bytes: int = 0

    def join(self, command_id: str, claim: Claim) -> bool:
        """Let a duplicate share the result of the attempt in hand; False when there is none."""
        attempt = self.in_hand.get(command_id)
        if attempt is None:
            return False
        attempt.claims.append(claim)
        return True

    def result_of(self, command_id: str) -> ActionResult | None:
        """The result that was sent for a command, if it is remembered."""
        return self._results.get(command_id)

    def unsettled(self, action: str) -> bool:
        """Whether an answer for this action is not acknowledged, or not known."""
        return any(attempt.command.action == action for attempt in self.in_hand.values())

    def cancel(self, command_id: str) -> bool:
        """Nobody waits for this command's result any more; False when it is not in hand."""
        attempt = self.in_hand.get(command_id)
        if attempt is None or attempt.answered:
            return False
        attempt.cancelled = True
        attempt.stop()
        return True

    def holds(self, attempt: Attempt) -> bool:
        """Whether the attempt is in hand: not finished, or its answer is not acknowledged."""
        return self.in_hand.get(attempt.command.command_id) is attempt

    def forget(self, attempt: Attempt) -> None:
        """Let go of a command that was not begun: whoever holds its partition gets it again."""
        self.in_hand.pop(attempt.command.command_id, None)

    def settle(self, attempt: Attempt, result: ActionResult) -> None:
        """The result is acknowledged: the command's places in the log are finished, its answer is remembered."""
        for claim in attempt.claims:
            claim.finish()
        self.in_hand.pop(attempt.command.command_id, None)
        self._remember(result)

    def _remember(self, result: ActionResult) -> None:
        old = self._results.pop(result.command_id, None)
        self._bytes += _size(result) - (_size(old) if old is not None else 0)
        self._results[result.command_id] = result
        while self._results and (len(self._results) > self.remembered or self._bytes > self.remembered_bytes):
            _, forgotten = self._results.popitem(last=False)
            self._bytes -= _size(forgotten)


def _size(result: ActionResult) -> int:
    return len(result.output or b"") + sum(len(emit.value or b"") for emit in result.emits)
