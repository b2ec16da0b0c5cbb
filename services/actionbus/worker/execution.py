"""One attempt of one action: input in, user code run within its time, outcome out. Nothing of Kafka is here.

Every exception of user code becomes a failure; only the end of the worker itself passes through as cancellation.
"""

import asyncio
import time
from typing import Any, Final

import httpx

from actionbus.contracts.commands import CommandKind
from actionbus.contracts.definitions import Effect
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.limits import Limits
from actionbus.contracts.results import Emit
from actionbus.sdk.action import Action
from actionbus.sdk.context import ActionContext
from actionbus.sdk.errors import AnswerLater, OutcomeUnknown
from actionbus.worker import calls, inbox, once, outcomes
from actionbus.worker.attempts import Attempt
from actionbus.worker.failures import Failures
from actionbus.worker.guarded_session import GuardedSession
from actionbus.worker.outcomes import Deferred, Done, ErrorType, Failed, InDoubt, Outcome
from actionbus.worker.processes import Processes
from actionbus.worker.stores import Store
from actionbus.worker.threads import Threads

HEARTBEATS_PER_TIMEOUT: Final = 3  # at most: two may be lost or late before an attempt counts as silent
HEARTBEAT_EVERY_MS: Final = 10_000  # at most, where silence is allowed
RECORD_OVERHEAD: Final = 4_096  # ids, headers and framing of a result, beside its output and emits


class Execution:
    """How the commands of one action are carried out in this process."""

    def __init__(
        self,
        action: Action[..., Any],
        *,
        limits: Limits,
        failures: Failures,
        threads: Threads,
        store: Store | None,
        processes: Processes | None = None,
        network: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.action = action
        self._limits = limits
        self._failures = failures
        self._threads = threads
        self._store = store
        self._processes = processes
        self._network = network  # made when it is needed: it reads the certificates of the machine
        self._asks_once = action.spec.asks_once

    @property
    def busy_threads(self) -> int:
        """Plain functions that have not returned, whether anybody waits for them or not."""
        return self._threads.busy

    async def close(self) -> None:
        """Let the threads go, end the processes, and close the connections to peers."""
        self._threads.close()
        if self._processes is not None:
            await self._processes.close()
        if self._network is not None:
            await self._network.aclose()

    async def perform(self, attempt: Attempt) -> Outcome:
        """What becomes of an attempt. Raises CancelledError only when the worker itself ends."""
        command = attempt.command
        if attempt.cancelled:
            return self.stopped(attempt)
        if command.deadline is not None and time.time_ns() // 1_000_000 > command.deadline:
            return outcomes.failed(ErrorType.DEADLINE_PASSED, "the command came after its deadline", retryable=True)
        try:
            if self.action.effect is Effect.TRANSACTIONAL and self._store is not None:
                outcome = await inbox.perform(
                    self._store, command, lambda session, data: self._run(attempt, data, session)
                )
            elif self.action.effect is Effect.AT_MOST_ONCE and self._store is not None and not command.template:
                outcome = await once.perform(self._store, command, lambda: self._run(attempt, command.input, None))
            elif self.action.effect is Effect.HTTP and self._store is not None and not command.template:
                outcome = await self._calling(attempt, self._store)
            elif command.template:
                message = f"the undone step is transactional, so its undo {self.action.id} has to be, too"
                outcome = outcomes.failed(ErrorType.INPUT_REFUSED, message)
            else:
                outcome = await self._run(attempt, command.input, None)
        except Exception as error:  # noqa: BLE001 - the database's word about the user's writes, or our own mistake
            outcome = self._failures.of(error)
        except asyncio.CancelledError:
            if not _stopped_by_us(attempt):
                raise
            outcome = self._calmed(attempt)
        return outcome

    def seconds(self, attempt: Attempt) -> float:
        """How long the code of an attempt may run."""
        return (attempt.command.start_to_close_ms or self.action.start_to_close_ms) / 1_000

    def heartbeat_every_ms(self, attempt: Attempt) -> int:
        """How much time lies at least between two heartbeats of an attempt that are sent."""
        silence = attempt.command.heartbeat_ms or self.action.heartbeat_ms
        return HEARTBEAT_EVERY_MS if silence is None else silence // HEARTBEATS_PER_TIMEOUT

    async def _calling(self, attempt: Attempt, store: Store) -> Outcome:
        """An attempt that calls over HTTP: what went wrong with a call counts, also where its code went on."""
        action = self.action
        self._network = self._network or httpx.AsyncHTTPTransport()
        made = calls.Calls(store, attempt.command, self._network, key=action.key, window_ms=action.window_ms)
        async with made.client() as client:
            outcome = await self._run(attempt, attempt.command.input, None, client)
        if made.trouble is None or isinstance(outcome, InDoubt):
            return outcome
        unknown = isinstance(made.trouble, OutcomeUnknown)
        return (self._failures.doubt if unknown else self._failures.of)(made.trouble)

    async def _run(
        self,
        attempt: Attempt,
        data: bytes,
        session: GuardedSession | None,
        client: httpx.AsyncClient | None = None,
    ) -> Outcome:
        try:
            arguments = self.action.parse(data)
        except PayloadRefused as error:
            return self._refused(ErrorType.INPUT_REFUSED, error)
        context = ActionContext.of(
            attempt.command,
            emits=self.action.emits,
            session=session,
            http=client,
            beats=attempt.beats,
            heartbeat_bytes=self._limits.heartbeat_bytes,
        )
        attempt.context = context
        if attempt.cancelled:
            return self.stopped(attempt)
        timer = asyncio.get_running_loop().call_later(self.seconds(attempt), _expire, attempt)
        try:
            return await self._outcome(attempt, context, arguments)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever user code raises is a failed attempt
            unknown = isinstance(error, OutcomeUnknown) and session is None  # else it was rolled back, and is known
            return (self._failures.doubt if unknown else self._failures.of)(error)
        except asyncio.CancelledError as error:
            if _stopped_by_us(attempt):
                return self._calmed(attempt)
            if _ending():
                raise
            return self._failures.of(error)  # user code waited for something that was cancelled
        finally:
            timer.cancel()

    async def _outcome(self, attempt: Attempt, context: ActionContext, arguments: dict[str, Any]) -> Outcome:
        if self._processes is not None:
            outcome = self._checked(await self._processes.run(attempt.command, attempt.beats))
            if isinstance(outcome, Failed) and outcome.error.type == ErrorType.PROCESS_DIED and self._asks_once:
                return outcomes.in_doubt(outcome.error.message)
            return outcome
        try:
            value = await self._call(context, arguments)
        except AnswerLater:
            return self._too_large(b"", context.emitted) or Deferred(emits=context.emitted)
        return self._done(attempt, value, context.emitted)

    async def _call(self, context: ActionContext, arguments: dict[str, Any]) -> Any:
        action = self.action
        positional = (context,) if action.takes_context else ()
        if action.is_async:
            return await action.execute(*positional, **arguments)
        return await self._threads.run(action.execute, *positional, **arguments)

    def _done(self, attempt: Attempt, value: Any, emits: tuple[Emit, ...]) -> Outcome:
        if attempt.command.kind is CommandKind.COMPENSATE:
            output = outcomes.UNDONE
        else:
            try:
                output = self.action.render(value)
            except PayloadRefused as error:
                return self._refused(ErrorType.OUTPUT_REFUSED, error)
        return self._too_large(output, emits) or Done(output=output, emits=emits)

    def _checked(self, outcome: Outcome) -> Outcome:
        """What a process answered, held to the limits and secrets of this one."""
        match outcome:
            case Done(output=output, emits=emits):
                return self._too_large(output, emits) or outcome
            case Deferred(emits=emits):
                return self._too_large(b"", emits) or outcome
            case Failed():
                return self._failures.bounded(outcome)
            case InDoubt(error=error):
                return InDoubt(error=self._failures.bounded(Failed(error=error)).error)

    def _too_large(self, output: bytes, emits: tuple[Emit, ...]) -> Failed | None:
        limits = self._limits
        emitted = sum(map(_size, emits))
        whole = len(output) + emitted + RECORD_OVERHEAD
        if len(output) > limits.payload_bytes:
            message = f"the output has {len(output)} bytes, {limits.payload_bytes} are allowed"
        elif len(emits) > limits.emits_per_result:
            message = f"{len(emits)} records are emitted, {limits.emits_per_result} are allowed"
        elif whole > limits.record_bytes:
            message = f"output and emits have {whole} bytes, {limits.record_bytes} are allowed"
        else:
            return None
        return outcomes.failed(ErrorType.RESULT_TOO_LARGE, message)

    def _refused(self, kind: ErrorType, error: PayloadRefused) -> Failed:
        return self._failures.bounded(outcomes.failed(kind, str(error)))

    def _calmed(self, attempt: Attempt) -> Outcome:
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
        return self.stopped(attempt)

    def stopped(self, attempt: Attempt) -> Outcome:
        """What is answered for an attempt that was asked to stop."""
        if attempt.cancelled:
            return outcomes.failed(ErrorType.CANCELLED, "nobody waited for the result any more")
        message = f"the attempt ran longer than {self.seconds(attempt):g} s"
        if self._asks_once:
            return outcomes.in_doubt(f"{message}, and what it had done by then nobody knows")
        return outcomes.failed(ErrorType.TIMEOUT, message, retryable=True)


def _expire(attempt: Attempt) -> None:
    attempt.expired = True
    attempt.stop()


def _stopped_by_us(attempt: Attempt) -> bool:
    return attempt.expired or attempt.cancelled


def _ending() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _size(emit: Emit) -> int:
    headers = sum(len(name) + len(value) for name, value in emit.headers.items())
    return len(emit.topic) + len(emit.key or b"") + len(emit.value or b"") + headers
