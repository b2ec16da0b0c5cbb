"""Attempts in this process: the part of a worker between a command and its result, and a record of what was called."""

import asyncio
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from actionbus.contracts.commands import ActionCommand, CommandKind
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.results import ActionResult, ResultKind
from actionbus.sdk import errors
from actionbus.sdk.action import Action
from actionbus.sdk.context import ActionContext
from actionbus.testing.answers import NoAnswer
from actionbus.testing.run import Called
from actionbus.worker import inbox, outcomes
from actionbus.worker.guarded_session import GuardedSession
from actionbus.worker.outcomes import Done, ErrorType, Failed, Outcome
from actionbus.worker.stores import Stores


class Attempts:
    """Calls actions, or what stands in for them, and remembers with what."""

    def __init__(
        self, actions: Mapping[str, Action[..., Any]], functions: Mapping[str, Callable[..., Any]], stores: Stores
    ) -> None:
        self._actions = actions
        self._functions = functions
        self._stores = stores
        self.calls: list[Called] = []

    def started(self, command: ActionCommand) -> ActionResult:
        """The word that an attempt has begun."""
        return _result(command, kind=ResultKind.STARTED)

    async def carry_out(self, command: ActionCommand) -> ActionResult | None:
        """The answer to a command; None when there is none, because the attempt took too long or says nothing."""
        action = self._actions[command.action]
        seconds = (command.start_to_close_ms or action.start_to_close_ms) / 1_000
        try:
            async with asyncio.timeout(seconds):
                outcome = await self._outcome(action, command)
        except (NoAnswer, TimeoutError):
            return None
        match outcome:
            case Done():
                return _result(command, kind=ResultKind.SUCCEEDED, output=outcome.output, emits=outcome.emits)
            case Failed():
                return _result(command, kind=ResultKind.FAILED, error=outcome.error)

    async def _outcome(self, action: Action[..., Any], command: ActionCommand) -> Outcome:
        if action.store is None:
            return await self._call(action, command, None, command.input)

        async def work(session: GuardedSession, data: bytes) -> Outcome:
            return await self._call(action, command, session, data)

        try:
            return await inbox.perform(self._stores[action.store], command, work)
        except Exception as error:  # noqa: BLE001 - what the database refuses at commit is a failed attempt too
            return Failed(error=errors.describe(error))

    async def _call(
        self, action: Action[..., Any], command: ActionCommand, session: GuardedSession | None, data: bytes
    ) -> Outcome:
        undo = command.kind is CommandKind.COMPENSATE
        context = ActionContext.of(command, emits=action.emits, session=session)
        try:
            arguments = action.parse(data)
        except PayloadRefused as error:
            return outcomes.failed(ErrorType.INPUT_REFUSED, str(error))
        self.calls.append(
            Called(action=action.id, step=command.step, attempt=command.attempt, undo=undo, arguments=arguments)
        )
        try:
            value = await _run(self._functions.get(action.id, action.execute), context, arguments)
        except Exception as error:  # noqa: BLE001 - whatever user code raises is a failed attempt
            return Failed(error=errors.describe(error))
        try:
            output = action.render(value)
        except PayloadRefused as error:
            return outcomes.failed(ErrorType.OUTPUT_REFUSED, str(error))
        return Done(output=outcomes.UNDONE if undo else output, emits=context.emitted)


async def _run(function: Callable[..., Any], context: ActionContext, arguments: dict[str, Any]) -> Any:
    first = next(iter(inspect.signature(function).parameters.values()), None)
    given = (context,) if first is not None and (first.name == "ctx" or first.annotation is ActionContext) else ()
    if inspect.iscoroutinefunction(function):
        return await function(*given, **arguments)
    return await asyncio.to_thread(function, *given, **arguments)


def _result(command: ActionCommand, **what: Any) -> ActionResult:
    return ActionResult(
        command_id=command.command_id,
        step_key=command.step_key,
        run_id=command.run_id,
        nonce=command.nonce,
        worker="in-process",
        **what,
    )
