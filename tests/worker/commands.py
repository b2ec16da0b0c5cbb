"""Commands and user code for the tests of the worker."""

from sqlalchemy import text

from actionbus.contracts import identifiers, payloads
from actionbus.contracts.commands import ActionCommand, CommandKind
from actionbus.contracts.results import ActionError
from actionbus.worker.outcomes import Done, Failed


def execute(step="pay", attempt=1, value=None, **changes):
    """A command to perform the action ``book`` for a step of run r-1."""
    key = identifiers.step_key("r-1", "2s", step)
    return ActionCommand(
        **{
            "command_id": identifiers.command_id(key, attempt),
            "step_key": key,
            "run_id": "r-1",
            "workflow": "order",
            "definition_version": "1",
            "step": step,
            "action": "book",
            "attempt": attempt,
            "input": payloads.encode({"amount": 5} if value is None else value),
            "reply_topic": "results",
            "reply_partition": 0,
            "nonce": "00",
            "issued_at": 1_000,
        }
        | changes
    )


def undo(step="pay", attempt=1, value=None, *, template=True, **changes):
    """A command to undo that step with the action ``refund``; it is given what the step made."""
    key = identifiers.step_key("r-1", "2s", step)
    asked = {"booking": {"$ref": ["made", "booking"]}, "why": {"$literal": "late"}} if value is None else value
    return execute(
        step,
        attempt,
        asked,
        command_id=identifiers.command_id(key, attempt, undo=True),
        kind=CommandKind.COMPENSATE,
        action="refund",
        template=template,
        **changes,
    )


class Booking:
    """User code that writes one row into the ledger; it remembers what it was called with."""

    def __init__(self, outcome=None, what="booked", before=None):
        self.calls = []
        self._outcome = outcome
        self._what = what
        self._before = before

    async def __call__(self, session, data):
        """Write, and answer."""
        value = payloads.decode(data)
        self.calls.append(value)
        if self._before is not None:
            await self._before(session)
        await session.execute(
            text("INSERT INTO effects VALUES (:key, :what)"), {"key": "r-1:2s/pay", "what": self._what}
        )
        return self._outcome or Done(output=payloads.encode({"booking": f"b-{len(self.calls)}"}))


def failing(kind="NoMoney", *, retryable):
    """What user code says when it failed."""
    return Failed(error=ActionError(type=kind, message="not enough", retryable=retryable, details=b'{"short":3}'))
