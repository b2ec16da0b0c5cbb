"""The protocol of actions that run at most once: a row says that an attempt is about to run, before its code does.

Whoever finds the row of a command without an outcome does not run the code: it may have had its effect, and nobody
knows. That is the answer, and a person decides. The row of a command that ended answers like an inbox. Another attempt
is another command: only an operator orders one, or nothing of the code had begun.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final
from uuid import uuid4

import structlog

from actionbus.contracts import payloads
from actionbus.contracts.commands import ActionCommand
from actionbus.contracts.errors import Doubt
from actionbus.process import crashing
from actionbus.worker import inbox, journal_table, outcomes, stored, transactions
from actionbus.worker.guarded_session import GuardedSession
from actionbus.worker.journal_table import Row, Status
from actionbus.worker.outcomes import ErrorType, Failed, Outcome
from actionbus.worker.stores import Store
from actionbus.worker.transactions import PATIENCE_SECONDS, answering

# After these an orchestrator begins another attempt, if they are retryable. A connection that user code has to another
# database may break under it, and then it fails with the first of them.
NEVER_BEGAN: Final = (ErrorType.STORE_UNAVAILABLE, ErrorType.DEADLINE_PASSED)

_log = structlog.get_logger(__name__)


async def perform(
    store: Store, command: ActionCommand, work: Callable[[], Awaitable[Outcome]], *, patience: float = PATIENCE_SECONDS
) -> Outcome:
    """Carry out a command of an action that runs at most once, or answer what its row says.

    ``work`` is user code; it does not raise but when it is cancelled, and then the row stays as it is. ``patience`` is
    in seconds: for so long an unreachable database is tried again.
    """
    intent = payloads.encode({"by": uuid4().hex, "input_hash": inbox.input_hash(command)}).decode()
    try:
        known = await transactions.patiently(store, lambda each: _begin(each, command, intent), patience=patience)
    except Doubt as error:
        return transactions.gave_up(store, error)  # the code has not run, whatever became of the row of this attempt
    if known is not None:
        return known
    crashing.visit(crashing.Point.ONCE_RECORDED)
    outcome = _begun(await work())
    crashing.visit(crashing.Point.ONCE_RETURNED)
    try:
        await transactions.patiently(store, lambda each: _end(each, command, outcome), patience=patience)
    except Doubt as error:  # the outcome is known here, and only another delivery would have to ask the row
        _log.warning("an outcome is not in the journal", command=command.command_id, reason=str(error))
    crashing.visit(crashing.Point.ONCE_ENDED)
    return outcome


def _begun(outcome: Outcome) -> Outcome:
    """What code says of its attempt, but for the words by which a worker says that no code has run."""
    if isinstance(outcome, Failed) and outcome.error.type in NEVER_BEGAN:
        return replace(outcome, error=outcome.error.replace(retryable=False))
    return outcome


async def _begin(session: GuardedSession, command: ActionCommand, intent: str) -> Outcome | None:
    """Write that the code is about to run; what the row says when there is one that another delivery wrote."""
    async with answering():
        if await journal_table.insert(session, command.command_id, command.command_id, intent):
            await session.settle()
            return None
        row = await journal_table.find(session, command.command_id)
    if row is None:
        raise Doubt("the row that was in the way was removed meanwhile")
    return None if row.intent == intent else _said(row, command)  # ours: only the reply to its commit was lost


def _said(row: Row, command: ActionCommand) -> Outcome:
    if payloads.decode(row.intent.encode())["input_hash"] != inbox.input_hash(command):
        return outcomes.failed(
            ErrorType.INPUT_REFUSED, f"the journal holds {row.key} with another action or input: the id was used twice"
        )
    if row.outcome is not None:
        return stored.read(row.outcome)
    return outcomes.in_doubt(
        "an earlier delivery of the command began and left no result: its worker was killed, or is cut off and still "
        "works. Look whether it had its effect; then complete, skip or retry the step"
    )


async def _end(session: GuardedSession, command: ActionCommand, outcome: Outcome) -> None:
    async with answering():
        said = stored.write(outcome)
        await journal_table.change(session, command.command_id, status=Status.DONE.value, outcome=said)
        await session.settle()
