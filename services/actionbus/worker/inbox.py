"""The protocol of transactional actions: an effect and the row that vouches for it are one database commit.

An attempt inserts a row under the step key, lets user code write, stores the result in the row and commits. Whoever
comes later with the same key finds the row and answers what it says, also that the answer was left to somebody else. A
compensation inserts CANCELLED under the same key first: either the effect never happened and never can, or the row that
is there says what to undo. That one unique index settles every race between attempts, redeliveries, late workers and
compensations.

A commit whose outcome is unknown is settled by going through the protocol once more: the row is there, or it is not and
user code runs again. What user code does besides, and how exceptions become failures, is not decided here.
"""

from collections.abc import Awaitable, Callable
from hashlib import sha256

from actionbus.contracts import identifiers, payloads, templates
from actionbus.contracts.commands import ActionCommand, CommandKind
from actionbus.contracts.errors import Doubt, Refused
from actionbus.kafka.codec import to_json
from actionbus.process import crashing
from actionbus.worker import inbox_table, outbox_table, outcomes, transactions
from actionbus.worker.guarded_session import GuardedSession
from actionbus.worker.inbox_table import Status
from actionbus.worker.outcomes import Deferred, Done, ErrorType, Outcome
from actionbus.worker.stores import Store
from actionbus.worker.transactions import PATIENCE_SECONDS, answering

Work = Callable[[GuardedSession, bytes], Awaitable[Outcome]]
"""User code: given the session and the input, it says what became of it. It does not raise but when it is cancelled."""


async def perform(store: Store, command: ActionCommand, work: Work, *, patience: float = PATIENCE_SECONDS) -> Outcome:
    """Carry out a command of a transactional action, or answer what the inbox says about it.

    Raises what the database raises about the user's writes at commit (a deferred constraint, for example); nothing is
    committed then. ``patience`` is in seconds: for so long an unreachable database is tried again.
    """

    async def one_round(session: GuardedSession) -> Outcome:
        async with answering():
            await store.allow(session, command.start_to_close_ms)
        return await _round(session, command, noted if store.outbox else work)

    async def noted(session: GuardedSession, data: bytes) -> Outcome:
        outcome = await work(session, data)
        if isinstance(outcome, Done | Deferred):
            undo = command.kind is CommandKind.COMPENSATE
            key = command.step_key + (f"/{identifiers.UNDO}" if undo else "")
            slim = command.replace(input=b"{}", original_output=None, heartbeat_details=None)
            await outbox_table.add(session, command.command_id, key, to_json(slim))
        return outcome

    try:
        return await transactions.patiently(store, one_round, patience=patience)
    except Doubt as error:
        return transactions.gave_up(store, error)


async def _round(session: GuardedSession, command: ActionCommand, work: Work) -> Outcome:
    if command.kind is CommandKind.COMPENSATE:
        return await _compensate(session, command, work)
    key = command.step_key
    async with answering():
        if not await _claim(session, key, command):
            return await _recall(session, key, command)
    return await _work(session, key, command, command.input, work)


async def _compensate(session: GuardedSession, command: ActionCommand, work: Work) -> Outcome:
    data = command.input
    async with answering():
        if command.template:
            cancelled = Status.CANCELLED
            if await inbox_table.insert(
                session, command.step_key, cancelled, command.command_id, None, unless=command.step_key
            ):
                crashing.visit(crashing.Point.CANCEL_INSERTED)
                await session.settle()
                crashing.visit(crashing.Point.CANCEL_COMMITTED)
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
        session, key, Status.DONE, command.command_id, input_hash(command), unless=command.command_id
    )


async def _recall(session: GuardedSession, key: str, command: ActionCommand) -> Outcome:
    undo = f"{key}/{identifiers.UNDO}"
    rows = await inbox_table.find(session, key, command.command_id, undo)
    row = rows.get(key) or rows.get(command.command_id)
    if row is None:
        raise Doubt("the row that was in the way was removed meanwhile")
    if row.status is Status.CANCELLED or undo in rows:
        return outcomes.failed(ErrorType.CANCELLED, "the step was compensated before this attempt could begin")
    if row.input_hash != input_hash(command):
        return outcomes.failed(
            ErrorType.INPUT_REFUSED, f"the inbox holds {row.key} with another action or input: the id was used twice"
        )
    return row.outcome()


async def _work(session: GuardedSession, key: str, command: ActionCommand, data: bytes, work: Work) -> Outcome:
    crashing.visit(crashing.Point.INBOX_CLAIMED)
    outcome = await work(session, data)
    if isinstance(outcome, Done | Deferred):
        if not await inbox_table.store(session, key, outcome):
            raise Refused("the inbox row is gone: user code ended the transaction behind ctx.db; nothing was committed")
        crashing.visit(crashing.Point.CODE_RETURNED)
        async with answering():
            await crashing.sent(crashing.Point.COMMIT_SENT, session.settle())
        undo = command.kind is CommandKind.COMPENSATE
        crashing.visit(crashing.Point.COMMITTED_UNDO if undo else crashing.Point.COMMITTED_STEP)
    elif not outcome.error.retryable:
        async with answering():
            await session.start_over()
            await inbox_table.insert(
                session, command.command_id, Status.FAILED, command.command_id, input_hash(command), unless=key
            )
            await inbox_table.store(session, command.command_id, outcome)
            await session.settle()
        crashing.visit(crashing.Point.COMMITTED_FAILURE)
    return outcome


def input_hash(command: ActionCommand) -> str:
    """What a row holds against a key that is used twice: SHA-256 of action and input."""
    return sha256(command.action.encode() + b"\x00" + command.input).hexdigest()
