"""One action's way through a worker: read, carry out, answer, commit. Each hosted action has a lane of its own.

The order that the promise of the worker rests on: a result is acknowledged by the broker first, then the place of its
command in the log counts as finished, then the offset is committed. User code runs outside the reading loop, which
never stops, so a slow action costs nobody the membership in the group.
"""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Final

import structlog

from actionbus.contracts import headers
from actionbus.contracts.commands import CommandKind
from actionbus.contracts.errors import Unavailable
from actionbus.contracts.limits import DEFAULT_LIMITS
from actionbus.contracts.records import InRecord
from actionbus.process import crashing, logs, metrics
from actionbus.process.tracing import SILENT, Spans
from actionbus.worker import answers, outcomes
from actionbus.worker.answering import Answering
from actionbus.worker.attempts import Attempt, Attempts, Claim
from actionbus.worker.execution import Execution
from actionbus.worker.holdings import POLL_RECORDS, Holdings
from actionbus.worker.intake import Intake, Unreadable
from actionbus.worker.outcomes import ErrorType, Failed, InDoubt, Outcome
from actionbus.worker.probation import Probation, Suspects

POLL_MS: Final = 200  # how long a reading waits for records; a stop or a rebalance is noticed in this time
QUEUE_BYTES: Final = 16_777_216  # of commands that wait for a slot
COMMIT_SECONDS: Final = 0.5
COMMIT_PAUSE_SECONDS: Final = 0.1  # an idle lane commits at once, but not more often than this
WATCH_SECONDS: Final = 0.5
LAG_EVERY: Final = 10  # watches
NOTICE_MS: Final = 1_000  # an attempt that takes longer tells the orchestrator that it has begun
STUCK_MS: Final = 5_000  # code that goes on so long after its time is given up, and answered for
ENDING_SECONDS: Final = 2.0  # for code that is cancelled at the end

_log = structlog.get_logger(__name__)


class Lane:
    """Reads one action's commands and sees each through to its committed offset."""

    def __init__(
        self,
        execution: Execution,
        *,
        holdings: Holdings,
        intake: Intake,
        attempts: Attempts,
        answering: Answering,
        suspects: Suspects,
        concurrency: int,
        crashes: int = DEFAULT_LIMITS.command_crashes,
        spans: Spans = SILENT,
    ) -> None:
        self._action = execution.action.id
        self._execution = execution
        self._holdings = holdings
        self._intake = intake
        self._attempts = attempts
        self._answering = answering
        self._concurrency = concurrency
        self._spans = spans
        self._topic, self._group = holdings.topic, holdings.group
        self._queue: deque[tuple[Attempt, int]] = deque()  # with the bytes of the command
        self._queued_bytes = 0
        self._running: set[Attempt] = set()
        self._probation = Probation(holdings, answering, attempts, suspects, crashes=crashes, start=self._start)
        self._admitting: asyncio.Task[None] | None = None
        self._slot_freed = asyncio.Event()
        self._stop = asyncio.Event()
        self._broken: BaseException | None = None
        self._trouble: str | None = None
        self._waiting_time = metrics.STEP_SCHEDULE_TO_START.labels(self._action)
        self._in_progress = metrics.COMMANDS_IN_PROGRESS.labels(self._action)
        self._retries = metrics.STEP_RETRIES.labels(self._action)
        self._stuck = metrics.ATTEMPTS_STUCK.labels(self._action)

    def not_ready(self) -> list[str]:
        """Why commands of this action are not carried out now."""
        reasons = [] if self._holdings.joined else ["the group has not let this worker in yet"]
        if self._trouble is not None:
            reasons.append(self._trouble)
        return [f"action {self._action}: {reason}" for reason in reasons]

    async def serve(self, stop: asyncio.Event, *, grace_seconds: float) -> None:
        """Work until ``stop`` is set, then finish what runs, within the grace period, and leave the group.

        Raises PositionLost, AccessRefused, TopicMissing: what a person has to decide.
        """
        self._stop = stop
        async with self._holdings:
            helpers = [asyncio.create_task(self._commit_on()), asyncio.create_task(self._watch_on())]
            try:
                while not stop.is_set():
                    await self._read(self._room())
                await self._finish(asyncio.get_running_loop().time() + grace_seconds)
            finally:
                for task in helpers:
                    task.cancel()
                await asyncio.gather(*helpers, return_exceptions=True)
                await self._end_running()
            with suppress(Unavailable):
                await self._holdings.commit(leaving=True)

    async def _read(self, room: int) -> None:
        if self._broken is not None:
            raise self._broken
        if room <= 0:
            self._slot_freed.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._slot_freed.wait(), POLL_MS / 1000)
        try:
            taken = await self._holdings.poll(timeout_ms=POLL_MS if room > 0 else 0, room=room)
        except Unavailable as error:
            self._trouble = str(error)
            await asyncio.sleep(POLL_MS / 1000)
            return
        self._trouble = None
        for record, claim in taken:
            self._take(record, claim)
        self._drop_stale()
        self._fill()

    def _room(self) -> int:
        if self._queued_bytes >= QUEUE_BYTES:
            return 0
        return max(POLL_RECORDS, self._concurrency) - len(self._queue)

    def _take(self, record: InRecord, claim: Claim) -> None:
        command = self._intake.read(record)
        crashing.visit(crashing.Point.COMMAND_READ)
        if isinstance(command, Unreadable):
            self._answering.set_aside(record, claim, command)
            return
        if self._attempts.join(command.command_id, claim):
            return
        attempt = Attempt(command, [claim], headers.trace_of(record), record if claim.suspected else None)
        self._attempts.in_hand[command.command_id] = attempt
        known = self._attempts.result_of(command.command_id)
        if known is not None:
            self._answering.repeat(attempt, known)
            return
        size = len(record.value or b"")
        self._queue.append((attempt, size))
        self._queued_bytes += size

    def _drop_stale(self) -> None:
        """Forget what has not begun of partitions that went to another worker: it gets those commands itself."""
        if not self._holdings.changed:
            return
        self._holdings.changed = False
        kept: deque[tuple[Attempt, int]] = deque()
        for attempt, size in self._queue:
            if any(map(self._holdings.holds, attempt.claims)):
                kept.append((attempt, size))
            else:
                self._attempts.forget(attempt)
        self._queue = kept
        self._queued_bytes = sum(size for _, size in kept)

    def _fill(self) -> None:
        # A reading may still be waiting for records when the stop comes.
        if self._stop.is_set() or self._admitting is not None:
            return
        while self._queue and (free := self._free_slots()) > 0:
            if self._suspect_is_next():
                while self._suspect_is_next() and free > 0:
                    self._probation.take(self._next())
                    free -= 1
                self._admitting = asyncio.get_running_loop().create_task(self._admit())
                return
            self._start(self._next())

    def _suspect_is_next(self) -> bool:
        return bool(self._queue) and self._queue[0][0].suspect is not None

    def _free_slots(self) -> int:
        return self._concurrency - max(len(self._running), self._execution.busy_threads)

    def _next(self) -> Attempt:
        attempt, size = self._queue.popleft()
        self._queued_bytes -= size
        return attempt

    def _start(self, attempt: Attempt) -> None:
        self._running.add(attempt)
        attempt.due = True
        attempt.task = asyncio.get_running_loop().create_task(self._carry_out(attempt))

    async def _admit(self) -> None:
        try:
            await self._probation.admit()
        except Exception as error:  # noqa: BLE001 - our own mistake, which must not pass as commands that wait
            self._broken = error
        finally:
            self._admitting = None
            self._slot_freed.set()
            self._fill()

    async def _carry_out(self, attempt: Attempt) -> None:
        attempt.due = False
        command = attempt.command
        attempt.started_at = answers.now_ms()
        waited = max(0, attempt.started_at - command.issued_at) / 1000
        self._waiting_time.observe(waited, metrics.example(attempt.trace))
        if command.attempt > 1:
            self._retries.inc()
        try:
            with self._spans.doing(command, attempt.trace, topic=self._topic, group=self._group) as doing:
                attempt.trace = doing.trace
                structlog.contextvars.bind_contextvars(**logs.about_command(command, doing.trace))
                outcome = await self._outcome(attempt)
                if isinstance(outcome, Failed | InDoubt):
                    doing.failed(outcome.error.type, outcome.error.message)
                crashing.visit(crashing.Point.RESULT_UNSENT)
                self._answering.answer(attempt, outcome)
        except Exception as error:  # noqa: BLE001 - no outcome: our own mistake, which must not pass as a quiet slot
            self._broken = error
        finally:
            self._running.discard(attempt)
            self._slot_freed.set()
            if self._queue:
                self._fill()

    async def _outcome(self, attempt: Attempt) -> Outcome:
        if attempt.command.kind is CommandKind.UNKNOWN:
            message = "this worker does not know this kind of command; a newer one may"
            return outcomes.failed(ErrorType.UNKNOWN_KIND, message, retryable=True)
        return await self._execution.perform(attempt)

    async def _commit_on(self) -> None:
        while True:
            if self._running or self._queue:
                await asyncio.sleep(COMMIT_SECONDS)
            try:
                await self._holdings.commit()
            except Unavailable as error:
                _log.warning("offsets are not committed yet", action=self._action, reason=str(error))
            await asyncio.sleep(COMMIT_PAUSE_SECONDS)

    async def _watch_on(self) -> None:
        turn = 0
        while True:
            self._look()
            if turn % LAG_EVERY == 0:
                await self._holdings.measure()
            turn += 1
            await asyncio.sleep(WATCH_SECONDS)

    def _look(self) -> None:
        """Tell of attempts that take long, and give up those whose code does not end when its time is over."""
        now = answers.now_ms()
        given_up = 0
        for attempt in list(self._running):
            if attempt.started_at and not attempt.noticed and now - attempt.started_at > NOTICE_MS:
                self._answering.begun(attempt)
            if attempt.beats and now - attempt.beaten_at >= self._execution.heartbeat_every_ms(attempt):
                self._answering.beat(attempt)
            if attempt.stopped_at and now - attempt.stopped_at > STUCK_MS:
                if not attempt.answered:
                    _log.error(
                        "code does not end after its time",
                        command=attempt.command.command_id,
                        **logs.about_command(attempt.command, attempt.trace),
                    )
                self._answering.answer(attempt, self._execution.stopped(attempt))
                given_up += 1
        self._stuck.set(given_up + max(0, self._execution.busy_threads - len(self._running)))
        self._in_progress.set(len(self._running))

    async def _finish(self, until: float) -> None:
        """Take nothing more, let what runs end, and see the answers acknowledged; polling goes on meanwhile."""
        if self._admitting is not None:
            self._admitting.cancel()
        self._probation.leave()
        for attempt, _ in self._queue:
            self._attempts.forget(attempt)
        self._queue.clear()
        loop = asyncio.get_running_loop()
        while (self._running or self._attempts.unsettled(self._action)) and loop.time() < until:
            await self._read(0)

    async def _end_running(self) -> None:
        """Cancel what did not end in time: it is delivered again, to whoever holds its partition then."""
        tasks = [attempt.task for attempt in self._running if attempt.task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            _log.warning(
                "attempts did not end in time and will be delivered again", action=self._action, count=len(tasks)
            )
            await asyncio.wait(tasks, timeout=ENDING_SECONDS)
        await self._execution.close()
