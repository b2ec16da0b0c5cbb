"""The protocol of transactional actions: an effect and the row that vouches for it are one database commit.

An attempt inserts a row under the step key, lets user code write, stores the result in the row and commits. Whoever
comes later with the same key finds the row and answers what it says, also that the answer was left to somebody else. A
compensation inserts CANCELLED under the same key first: either the effect never happened and never can, or the row that
is there says what to undo. That one unique index settles every race between attempts, redeliveries, late workers and
compensations.

A commit whose outcome is unknown is settled by going through the protocol once more: the row is there, or it is not and
user code runs again. What user code does besides, and how exceptions become failures, is not decided here.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from typing import Final

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from actionbus.contracts import identifiers, payloads, templates
from actionbus.contracts.commands import ActionCommand, CommandKind
from actionbus.contracts.errors import Doubt, Refused
from actionbus.worker import inbox_table, outcomes
from actionbus.worker.guarded_session import GuardedSession
from actionbus.worker.inbox_table import Status
from actionbus.worker.outcomes import Deferred, Done, ErrorType, Failed, Outcome
from actionbus.worker.stores import Store

Work = Callable[[GuardedSession, bytes], Awaitable[Outcome]]
"""User code: given the session and the input, it says what became of it. It does not raise but when it is cancelled."""

PATIENCE_SECONDS: Final = 20.0  # a database that restarts costs a delay and no attempt, if it is back within this
BACKOFF_SECONDS: Final = 0.1
BACKOFF_CAP_SECONDS: Final = 2.0
STATEMENT_SECONDS: Final = 45.0  # beyond the server's own timeouts: silence for this long means a lost connection


async def perform(store: Store, command: ActionCommand, work: Work, *, patience: float = PATIENCE_SECONDS) -> Outcome:
    """Carry out a command of a transactional action, or answer what the inbox says about it.

    Raises what the database raises about the user's writes at commit (a deferred constraint, for example); nothing is
    committed then. ``patience`` is in seconds: for so long an unreachable database is tried again.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    pause = BACKOFF_SECONDS
    async with store.slots:
        while True:
            try:
                async with _transaction(store) as session:
                    async with _answering():
                        await store.allow(session, command.start_to_close_ms)
                    return await _round(session, command, work)
            except Doubt as error:
                if loop.time() + pause > until:
                    return _gave_up(store, error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, BACKOFF_CAP_SECONDS)


async def _round(session: GuardedSession, command: ActionCommand, work: Work) -> Outcome:
    if command.kind is CommandKind.COMPENSATE:
        return await _compensate(session, command, work)
    key = command.step_key
    async with _answering():
        if not await _claim(session, key, command):
            return await _recall(session, key, command)
    return await _work(session, key, command, command.input, work)


async def _compensate(session: GuardedSession, command: ActionCommand, work: Work) -> Outcome:
    data = command.input
    async with _answering():
        if command.template:
            cancelled = Status.CANCELLED
            if await inbox_table.insert(
                session, command.step_key, cancelled, command.command_id, None, unless=command.step_key
            ):
                await session.settle()
                return Done(output=outcomes.NEVER_HAPPENED)
            row = (await inbox_table.find(session, command.step_key)).get(command.step_key)
            if row is None:
                raise Doubt("the row of the step was removed meanwhile")
            if row.status is cancelled:
                return Done(output=outcomes.NEVER_HAPPENED, repeated=True)
            data = _undo_input(command, row.outcome())
        key = f"{command.step_key}/{identifiers.UNDO}"
        if not await _claim(session, key, command):
            return await _recall(session, key, command)
    return await _work(session, key, command, data, work)


def _undo_input(command: ActionCommand, step: Outcome) -> bytes:
    """The input of an undo. What somebody else answered for the step, the row does not know: the command does."""
    output = step.output if isinstance(step, Done) else command.original_output
    made = None if output is None else payloads.decode(output)
    return payloads.encode(templates.fill(payloads.decode(command.input), {templates.MADE: made}))


async def _claim(session: GuardedSession, key: str, command: ActionCommand) -> bool:
    """Insert the row that the effect stands or falls with, unless this very command has failed for good already."""
    return await inbox_table.insert(
        session, key, Status.DONE, command.command_id, _hash(command), unless=command.command_id
    )


async def _recall(session: GuardedSession, key: str, command: ActionCommand) -> Outcome:
    rows = await inbox_table.find(session, key, command.command_id)
    row = rows.get(key) or rows.get(command.command_id)
    if row is None:
        raise Doubt("the row that was in the way was removed meanwhile")
    if row.status is Status.CANCELLED:
        return outcomes.failed(ErrorType.CANCELLED, "the step was compensated before this attempt could begin")
    if row.input_hash != _hash(command):
        return outcomes.failed(
            ErrorType.INPUT_REFUSED, f"the inbox holds {row.key} with another action or input: the id was used twice"
        )
    return row.outcome()


async def _work(session: GuardedSession, key: str, command: ActionCommand, data: bytes, work: Work) -> Outcome:
    outcome = await work(session, data)
    if isinstance(outcome, Done | Deferred):
        if not await inbox_table.store(session, key, outcome):
            raise Refused("the inbox row is gone: user code ended the transaction behind ctx.db; nothing was committed")
        async with _answering():
            await session.settle()
    elif not outcome.error.retryable:
        async with _answering():
            await session.start_over()
            await inbox_table.insert(
                session, command.command_id, Status.FAILED, command.command_id, _hash(command), unless=key
            )
            await inbox_table.store(session, command.command_id, outcome)
            await session.settle()
    return outcome


def _hash(command: ActionCommand) -> str:
    return sha256(command.action.encode() + b"\x00" + command.input).hexdigest()


@asynccontextmanager
async def _transaction(store: Store) -> AsyncGenerator[GuardedSession]:
    session = GuardedSession(store.engine)
    try:
        yield session
    finally:
        with suppress(DBAPIError, OSError):  # then the connection is gone, and with it the transaction
            await session.discard()


@asynccontextmanager
async def _answering() -> AsyncGenerator[None]:
    """Turn a database that does not answer into Doubt: nothing began, or who knows what was committed."""
    try:
        async with asyncio.timeout(STATEMENT_SECONDS):
            yield
    except (OperationalError, InterfaceError, PoolTimeout, OSError, TimeoutError) as error:
        raise Doubt(str(error)) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise Doubt(str(error)) from error
        raise


def _gave_up(store: Store, error: Doubt) -> Failed:
    return outcomes.failed(
        ErrorType.STORE_UNAVAILABLE, f"the database {store.name} does not answer: {error}", retryable=True
    )
