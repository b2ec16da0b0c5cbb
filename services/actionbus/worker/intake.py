"""From a record of a command topic to a command that may be carried out, or to the reason why not.

What cannot be read goes to the action's dead letters as it was. When its ids can be read all the same, a failed result
tells the run, too. Avro bytes that do not fit their schema give no ids that could be trusted; JSON may.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from actionbus.contracts import identifiers, payloads
from actionbus.contracts.commands import ActionCommand, CommandKind
from actionbus.contracts.errors import IdentifierRefused, PayloadRefused, RecordUnreadable
from actionbus.contracts.records import InRecord
from actionbus.contracts.results import ActionResult, ResultKind
from actionbus.kafka.codec import JSON_OBJECT, Codec
from actionbus.worker import outcomes
from actionbus.worker.outcomes import ErrorType

_TEXTS: Final = ("command_id", "step_key", "run_id", "nonce", "reply_topic")
LONGEST_ID: Final = 10_000  # characters; deeper than any graph. An answer repeats ids, so one could fit no record
_LONGEST_REASON: Final = 1_000  # characters of what a result says of a command that cannot be read


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A record that is no command for this action, why, and a result for its run if that is known."""

    error: RecordUnreadable
    result: ActionResult | None = None
    reply_to: tuple[str, int] | None = None


class Intake:
    """Reads the commands of one action. ``reply_topic`` and ``reply_partitions`` say where results may go."""

    def __init__(self, action: str, codec: Codec, *, reply_topic: str, reply_partitions: int) -> None:
        self._action = action
        self._codec = codec
        self._reply_topic = reply_topic
        self._reply_partitions = reply_partitions

    def read(self, record: InRecord) -> ActionCommand | Unreadable:
        """The command in a record."""
        try:
            command = self._codec.decode(ActionCommand, record.value)
        except RecordUnreadable as error:
            return self._salvaged(error, _texts(record.value))
        problem = self._problem(command)
        if problem is not None:
            return self._salvaged(RecordUnreadable(problem), command.plain())
        return command

    def _problem(self, command: ActionCommand) -> str | None:
        if command.action != self._action:
            return f"the command is for action {command.action}, the topic is that of {self._action}"
        try:
            parts = _identified(command)
        except IdentifierRefused as error:
            return str(error)
        if parts.step_key != command.step_key or parts.run_id != command.run_id:
            return "command_id, step_key and run_id are not of one step"
        if parts.undo != (command.kind is CommandKind.COMPENSATE) and command.kind is not CommandKind.UNKNOWN:
            return f"the command id is not one of kind {command.kind.value}"
        if not self._answerable((command.reply_topic, command.reply_partition)):
            return f"results do not go to {command.reply_topic}, partition {command.reply_partition}"
        return None

    def _answerable(self, place: tuple[Any, Any]) -> bool:
        topic, partition = place
        return topic == self._reply_topic and isinstance(partition, int) and 0 <= partition < self._reply_partitions

    def _salvaged(self, error: RecordUnreadable, fields: Mapping[str, Any]) -> Unreadable:
        place: tuple[Any, Any] = (fields.get("reply_topic"), fields.get("reply_partition"))
        if not all(_repeatable(fields.get(name)) for name in _TEXTS) or not self._answerable(place):
            return Unreadable(error=error)
        reason = f"the command could not be read: {error}"[:_LONGEST_REASON]
        failure = outcomes.failed(ErrorType.UNREADABLE, reason)
        result = ActionResult(
            command_id=fields["command_id"],
            step_key=fields["step_key"],
            run_id=fields["run_id"],
            nonce=fields["nonce"],
            kind=ResultKind.FAILED,
            error=failure.error,
        )
        return Unreadable(error=error, result=result, reply_to=place)


def _identified(command: ActionCommand) -> identifiers.CommandId:
    for what, text in (("command id", command.command_id), ("nonce", command.nonce)):
        if not _repeatable(text):
            raise IdentifierRefused(what, text, f"at most {LONGEST_ID} characters, as every answer repeats it")
    return identifiers.parse_command_id(command.command_id)


def _repeatable(field: Any) -> bool:
    return isinstance(field, str) and len(field) <= LONGEST_ID


def _texts(value: bytes | None) -> dict[str, Any]:
    if value is None or value[:1] != JSON_OBJECT:
        return {}
    try:
        return payloads.decode(value)
    except PayloadRefused:
        return {}
