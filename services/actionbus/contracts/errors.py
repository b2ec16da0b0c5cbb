"""The one tree of errors. A class says what happened; its base says how to treat it; the message says what to do.

ActionbusError
├── Refused                    the caller's input is wrong: change it, nothing was done
│   ├── IdentifierRefused      an id outside its grammar
│   ├── DefinitionRefused      a workflow that cannot be run as written
│   ├── PayloadRefused         a payload that breaks its schema or a limit
│   │   └── PayloadTooLarge    a payload with more bytes than are carried inside a record
│   ├── SettingsRefused        a setting that is missing or makes no sense
│   ├── AccessRefused          the broker knows us not, or does not let us
│   ├── TopicMissing           a topic or partition that does not exist
│   ├── RunMissing             a run that was never started, or was forgotten after its retention
│   ├── BatchTooLarge          records that do not fit one record batch
│   └── TransactionRefused     user code tried to end the transaction of its database session
├── RecordUnreadable           bytes that are no record of ours: to dead letters, never to a crash
├── CommandDeadly              workers that begin it are killed: to dead letters, before it kills them all
├── Unavailable                something outside is not there: try again later
│   └── NoVerdict              a request is in the log, and nobody has answered it yet: it will be
├── Doubt                      the outcome of a write is unknown: drop memory, fence, read again
│   └── Fenced                 another owner has taken over: the same, and only if the shard is still ours
├── PositionLost               a stored position that the log no longer holds: an operator decides
├── Conflict                   the world holds something else under this name
├── RunFailed                  a run ended without success; carries its status and reason
└── InvariantBroken            the program is wrong: stop this shard, loudly
"""


class ActionbusError(Exception):
    """Something went wrong in actionbus."""

    retryable: bool = False

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message if message is not None else (type(self).__doc__ or type(self).__name__))


class Refused(ActionbusError):
    """The input was refused; nothing was done."""


class IdentifierRefused(Refused, ValueError):
    """An id does not follow its grammar."""

    def __init__(self, what: str, text: str, grammar: str) -> None:
        shown = text if len(text) <= 80 else text[:77] + "..."  # noqa: PLR2004 - one terminal line
        super().__init__(f"{what} {shown!r} is not valid: use {grammar}")


class DefinitionRefused(Refused, ValueError):
    """The workflow cannot be run as it is written."""


class PayloadRefused(Refused, ValueError):
    """The payload breaks its schema or a limit."""


class PayloadTooLarge(PayloadRefused):
    """The payload has more bytes than are carried inside a record."""


class SettingsRefused(Refused, ValueError):
    """A setting is missing or makes no sense."""


class AccessRefused(Refused):
    """The broker does not accept these credentials, or does not allow this to their owner."""


class TopicMissing(Refused, LookupError):
    """A topic or partition does not exist."""


class RunMissing(Refused, LookupError):
    """There is no such run: it was never started, or was forgotten after its retention."""


class BatchTooLarge(Refused, ValueError):
    """The records do not fit one record batch."""


class TransactionRefused(Refused):
    """User code tried to end or begin the transaction of its database session."""


class RecordUnreadable(ActionbusError, ValueError):
    """The bytes are no record of this kind."""


class CommandDeadly(ActionbusError):
    """Every worker that began the command was killed before it ended."""


class Unavailable(ActionbusError, ConnectionError):
    """Something outside does not answer; try again later."""

    retryable = True


class NoVerdict(Unavailable):
    """A request is safely in the log, and its verdict was not seen in time: it will be carried out all the same."""


class Doubt(ActionbusError):
    """The outcome of a write is unknown: nothing remembered may be trusted until it was read again."""

    retryable = True


class Fenced(Doubt):
    """Another owner has taken over what this one wrote to."""


class PositionLost(ActionbusError, LookupError):
    """The log no longer holds the stored position: records between were removed before they were read."""


class Conflict(ActionbusError):
    """The world already holds something else under this name."""


class RunFailed(ActionbusError):
    """A run ended without success."""

    def __init__(self, run: str, status: str, reason: str) -> None:
        super().__init__(f"run {run} ended {status}: {reason}")
        self.run_id = run
        self.status = status
        self.reason = reason


class InvariantBroken(ActionbusError, AssertionError):
    """The program reached a state that it promises never to reach."""
