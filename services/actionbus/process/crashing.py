"""Where a process can be made to end, so that a test puts a death between any two effects.

``ACTIONBUS_CRASH_AT=worker.committed:3`` ends a service with exit code 9 at its third visit of that point, as
``kill -9`` does: nothing is cleaned up, nothing is flushed. ``worker.committed:3:stop`` stops it there instead, as
SIGSTOP does: whoever sends SIGCONT wakes a process that the others took for dead. Without the switch a visit is one
comparison.

Every point is declared here and visited in the room of its service; what has to hold after a death is said nowhere
here. The engine and the contracts have no effects, and so no points.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeVar

import structlog

from actionbus.contracts.errors import SettingsRefused

T = TypeVar("T")

VARIABLE: Final = "ACTIONBUS_CRASH_AT"
EXIT_CODE: Final = 9
STOP: Final = ":stop"
SENDING_TURNS: Final = 3  # of the loop: the work begins in the first, and what it wrote has left at the end of it

_log = structlog.get_logger(__name__)


class Point(Enum):
    """A place between two effects: its name in the switch, and a sentence that says what has happened by then."""

    FENCED_A = "orchestrator.fenced-a", "A takeover has fenced the first of the shard's two transactional ids."
    FENCED_BOTH = "orchestrator.fenced-both", "A takeover has fenced both ids and has read nothing."
    SHARD_READ = "orchestrator.shard-read", "A takeover has read the shard and has written nothing."
    FIRST_COMMITTED = (
        "orchestrator.first-committed",
        "A takeover has committed its first position, and has sent again no command that may be missing.",
    )
    BEFORE_TRANSACTION = "orchestrator.before-transaction", "A batch is made, and nothing of it has left."
    TRANSACTION_WRITTEN = (
        "orchestrator.transaction-written",
        "The brokers have all records of a transaction, and its end was not sent.",
    )
    OTHERS_WRITTEN = (
        "orchestrator.others-written",
        "The same, in a transaction with records for others: emits, and what runs ask of runs.",
    )
    LETTER_WRITTEN = "orchestrator.letter-written", "The same, in a transaction with a dead letter."
    END_SENT = "orchestrator.end-sent", "The end of a transaction was sent, and its reply was not read."
    COMMITTED = "orchestrator.committed", "A transaction is committed, and none of its commands was sent."
    SOME_PUBLISHED = (
        "orchestrator.some-published",
        "A broker has some commands of a shard, and others that are due did not leave.",
    )
    ALL_PUBLISHED = (
        "orchestrator.all-published",
        "The brokers have every command of a shard, and no position says so.",
    )
    RELEASING = "orchestrator.releasing", "A shard is let go, and its last position was not written."
    RELEASED = "orchestrator.released", "A shard is let go, its last position is committed; the group was not left."

    PARTITION_HELD = (
        "worker.partition-held",
        "Partitions are committed as held, and nothing of them was read.",
    )
    SUSPECT_RECORDED = (
        "worker.suspect-recorded",
        "It is committed that commands are begun which may have killed a worker, and none has begun.",
    )
    COMMAND_READ = "worker.command-read", "A command was read, and nothing was done about it."
    INBOX_CLAIMED = "worker.inbox-claimed", "A transactional step or undo has its row, and its code has not begun."
    CODE_RETURNED = "worker.code-returned", "The code of a transactional step or undo returned; COMMIT was not sent."
    COMMIT_SENT = "worker.commit-sent", "COMMIT of a transactional step or undo was sent, and its reply was not read."
    COMMITTED_STEP = "worker.committed", "A transactional step is committed, and its result was not sent."
    COMMITTED_UNDO = "worker.committed-undo", "A transactional undo is committed, and its result was not sent."
    COMMITTED_FAILURE = (
        "worker.committed-failure",
        "The row that says that a transactional attempt failed for good is committed; its result was not sent.",
    )
    CANCEL_INSERTED = (
        "worker.cancel-inserted",
        "An undo has inserted the row that keeps its step from happening, and has not committed it.",
    )
    CANCEL_COMMITTED = "worker.cancel-committed", "That row is committed, and the result of the undo was not sent."
    ONCE_RECORDED = "worker.once-recorded", "The row of an at_most_once command is committed; its code has not begun."
    ONCE_RETURNED = "worker.once-returned", "The code of an at_most_once command returned; its row does not say so."
    ONCE_ENDED = "worker.once-ended", "The row of an at_most_once command has its outcome; its result was not sent."
    CALL_RECORDED = "worker.call-recorded", "A call over HTTP stands in the journal, and no request was sent."
    CALL_SENT = "worker.call-sent", "A request was sent and its answer began, of which nothing was read or kept."
    CALL_ANSWERED = "worker.call-answered", "The answer to a call was read, and does not stand in the journal."
    CALL_KEPT = "worker.call-kept", "The answer to a call stands in the journal, and the code has not got it."
    RESULT_UNSENT = (
        "worker.result-unsent",
        "What became of an attempt is known, of any effect; its result was not sent.",
    )
    RESULT_PUBLISHED = "worker.result-published", "The brokers have a result, and the offset was not committed."
    LETTER_PUBLISHED = (
        "worker.letter-published",
        "The brokers have the dead letter of a command, and its run was told nothing.",
    )
    OFFSET_COMMITTED = "worker.offset-committed", "An offset behind finished commands is committed."
    RELAY_FOUND = "worker.relay-found", "The relay found results that nobody published, and has sent none of them."
    RELAY_PUBLISHED = "worker.relay-published", "The brokers have a result of the relay, and its row is still there."
    OUTBOX_UNCLEARED = "worker.outbox-uncleared", "Results are published, and their rows are about to be removed."

    BATCH_READ = "projector.batch-read", "A batch of events was read, and nothing of it was written."
    ROWS_WRITTEN = "projector.rows-written", "The rows of a batch are written, and not committed."
    ROWS_COMMITTED = "projector.rows-committed", "The rows of a batch are committed, and no offset of the group."

    def __init__(self, label: str, meaning: str) -> None:
        self.label = label
        self.meaning = meaning

    @property
    def service(self) -> str:
        """The service that visits it."""
        return self.label.partition(".")[0]


@dataclass(slots=True)
class _Switch:
    point: Point | None = None
    left: int = 0  # visits, the last of which ends or stops the process
    stops: bool = False


_switch: Final = _Switch()


def points(service: str) -> tuple[Point, ...]:
    """The points of one service, in the order of its work."""
    return tuple(point for point in Point if point.service == service)


def arm(environment: Mapping[str, str]) -> None:
    """Do what the switch in an environment says, with a warning; raises SettingsRefused when it makes no sense."""
    _switch.point = None
    given = environment.get(VARIABLE)
    if not given:
        return
    name, _, nth = given.removesuffix(STOP).rpartition(":")
    found = next((point for point in Point if point.label == name), None)
    if found is None or not (nth.isascii() and nth.isdigit() and int(nth) > 0):
        known = "\n".join(f"  {point.label}: {point.meaning}" for point in Point)
        raise SettingsRefused(
            f"{VARIABLE} is {given!r}: it is for tests alone, and says POINT:NTH or POINT:NTH{STOP}, such as "
            f"{Point.COMMITTED_STEP.label}:1, with one of these points:\n{known}"
        )
    _switch.point, _switch.left, _switch.stops = found, int(nth), given.endswith(STOP)
    does = "stops" if _switch.stops else "ends"
    _log.warning(
        f"{VARIABLE} is set: this process {does} itself, as tests want it to", point=found.label, visit=_switch.left
    )


def visit(point: Point) -> None:
    """Be at a point: here the process ends or stops if the switch says so."""
    if _switch.point is not point:
        return
    _switch.left -= 1
    if _switch.left:
        return
    if _switch.stops:
        os.write(2, f"actionbus: {VARIABLE}: stopped at {point.label}\n".encode())
        os.kill(os.getpid(), signal.SIGSTOP)
    else:
        os.write(2, f"actionbus: {VARIABLE}: the end at {point.label}\n".encode())
        os._exit(EXIT_CODE)


def ends_next(point: Point) -> bool:
    """Whether the next visit of a point ends the process, for whoever has to leave work undone until then."""
    return _switch.point is point and _switch.left == 1


async def sent(point: Point, work: Awaitable[T]) -> T:
    """What ``work`` gives, which sends one request at once; the point is visited when that is on its way.

    A request that has to wait for something else first, as for a connection, may not have left by then.
    """
    if _switch.point is not point:
        return await work
    sending = asyncio.ensure_future(work)
    for _ in range(SENDING_TURNS):
        await asyncio.sleep(0)
    visit(point)
    return await sending
