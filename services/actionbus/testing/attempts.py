"""Attempts in this process: the worker's own execution of commands, and a record of what each function was given."""

import asyncio
import copy
import inspect
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, assert_never

import httpx
from pydantic_core import to_jsonable_python

from actionbus.contracts import payloads
from actionbus.contracts.commands import ActionCommand, CommandKind
from actionbus.contracts.limits import DEFAULT_LIMITS
from actionbus.contracts.results import ActionResult, ResultKind
from actionbus.sdk.action import Action
from actionbus.sdk.context import ActionContext
from actionbus.sdk.signature import CONTEXT
from actionbus.testing.answers import NoAnswer
from actionbus.testing.run import Called, Heartbeat
from actionbus.worker.attempts import Attempt
from actionbus.worker.execution import Execution
from actionbus.worker.failures import Failures
from actionbus.worker.outcomes import Deferred, Done, Failed, InDoubt, Outcome
from actionbus.worker.stores import Stores
from actionbus.worker.threads import Threads

THREADS: Final = 8  # one is used at a time; others may be held by functions that outlived their timeout


class Attempts:
    """Calls actions, or what stands in for them, and remembers with what."""

    def __init__(
        self,
        actions: Mapping[str, Action[..., Any]],
        functions: Mapping[str, Callable[..., Any]],
        answers: Mapping[str, Callable[..., Any]],
        stores: Stores,
        network: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.calls: list[Called] = []
        self.heartbeats: list[Heartbeat] = []
        self._answers = answers
        self._failures = Failures(DEFAULT_LIMITS)
        self._threads = Threads(THREADS, "action")
        self._executions = {
            action.id: Execution(
                self._recording(action, functions.get(action.id, action.execute)),
                limits=DEFAULT_LIMITS,
                failures=self._failures,
                threads=self._threads,
                store=None if action.store is None else stores[action.store],
                network=network,
            )
            for action in actions.values()
        }
        self._current: ActionCommand | None = None

    def close(self) -> None:
        """Let the threads end."""
        self._threads.close()

    def started(self, command: ActionCommand) -> ActionResult:
        """The word that an attempt has begun."""
        return _result(command, kind=ResultKind.STARTED)

    async def carry_out(self, command: ActionCommand) -> list[ActionResult]:
        """What is said about a command: its heartbeats, then its result, unless its stand-in gives none."""
        self._current = command
        # The deadline belongs to the test's clock, the execution looks at the machine's.
        attempt = Attempt(command=command.replace(deadline=None), claims=[], beats=deque())
        result = await self._result_of(attempt)
        said = [_result(command, kind=ResultKind.HEARTBEAT, details=details) for details in attempt.beats]
        self.heartbeats += [_heartbeat(command, details) for details in attempt.beats]
        return said if result is None else [*said, result]

    async def answer(self, command: ActionCommand) -> ActionResult | None:
        """What the holder of a command's token answers; None when nobody does."""
        function = self._answers.get(command.action)
        if function is None:
            return None
        undo = command.kind is CommandKind.COMPENSATE
        call = next(each for each in reversed(self.calls) if (each.step, each.undo) == (command.step, undo))
        try:
            value = function(**call.arguments)
            value = await value if inspect.isawaitable(value) else value
            output = payloads.encode(to_jsonable_python(value))
        except NoAnswer:
            return None
        except Exception as error:  # noqa: BLE001 - whatever it raises is what the holder says
            failed = self._failures.of(error)
            return _result(command, kind=ResultKind.FAILED, error=failed.error, by_token=True)
        return _result(command, kind=ResultKind.SUCCEEDED, output=output, by_token=True)

    async def _result_of(self, attempt: Attempt) -> ActionResult | None:
        command = attempt.command
        ended: list[Outcome] = []

        async def perform() -> None:
            ended.append(await self._executions[command.action].perform(attempt))

        attempt.task = asyncio.create_task(perform())
        try:
            await attempt.task
        except NoAnswer:
            return None
        match ended.pop():
            case Done(output=output, emits=emits):
                return _result(command, kind=ResultKind.SUCCEEDED, output=output, emits=emits)
            case Failed(error=error):
                return _result(command, kind=ResultKind.FAILED, error=error)
            case InDoubt(error=error):
                return _result(command, kind=ResultKind.IN_DOUBT, error=error)
            case Deferred(emits=emits):
                return _result(command, kind=ResultKind.DEFERRED, emits=emits)
            case _ as never:
                assert_never(never)

    def _recording(self, action: Action[..., Any], function: Callable[..., Any]) -> Action[..., Any]:
        wants_context = _wants_context(function)

        async def execute(ctx: ActionContext, **arguments: Any) -> Any:
            self._remember(action, arguments)
            given = (ctx,) if wants_context else ()
            if inspect.iscoroutinefunction(function):
                return await function(*given, **arguments)
            return await self._threads.run(function, *given, **arguments)

        recording = copy.copy(action)
        recording.execute = execute
        recording.takes_context = recording.is_async = True
        return recording

    def _remember(self, action: Action[..., Any], arguments: dict[str, Any]) -> None:
        command = self._current
        assert command is not None, "user code runs only for a command"  # noqa: S101 - set by carry_out
        self.calls.append(
            Called(
                action=action.id,
                step=command.step,
                attempt=command.attempt,
                undo=command.kind is CommandKind.COMPENSATE,
                arguments=arguments,
            )
        )


def _wants_context(function: Callable[..., Any]) -> bool:
    first = next(iter(inspect.signature(function).parameters.values()), None)
    return first is not None and (first.name == CONTEXT or first.annotation is ActionContext)


def _heartbeat(command: ActionCommand, details: bytes | None) -> Heartbeat:
    return Heartbeat(
        action=command.action,
        step=command.step,
        attempt=command.attempt,
        details=None if details is None else payloads.decode(details),
    )


def _result(command: ActionCommand, **what: Any) -> ActionResult:
    return ActionResult(
        command_id=command.command_id,
        step_key=command.step_key,
        run_id=command.run_id,
        nonce=command.nonce,
        worker="in-process",
        **what,
    )
