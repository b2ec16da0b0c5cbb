"""What a lane says to the rest of the installation: results, the word that an attempt has begun, dead letters.

A command's place in the log counts as finished only when what is said about it is acknowledged.
"""

from collections.abc import Callable
from typing import Final

import structlog

from actionbus.contracts import headers
from actionbus.contracts.commands import ActionCommand
from actionbus.contracts.dead_letters import dead_letter
from actionbus.contracts.errors import ActionbusError, CommandDeadly
from actionbus.contracts.limits import Limits
from actionbus.contracts.records import InRecord
from actionbus.contracts.results import ActionResult
from actionbus.kafka.codec import Codec
from actionbus.process import crashing, metrics
from actionbus.worker import answers, outcomes
from actionbus.worker.attempts import Attempt, Attempts, Claim
from actionbus.worker.intake import Unreadable
from actionbus.worker.outcomes import Done, ErrorType, Failed, InDoubt, Outcome
from actionbus.worker.replies import Place, Replies, Reply

_TIMEOUTS: Final[dict[str, str]] = {
    ErrorType.TIMEOUT: "start_to_close",
    ErrorType.DEADLINE_PASSED: "deadline",
}
_OUTCOMES: Final = ("succeeded", "failed", "deferred", "in_doubt")

_log = structlog.get_logger(__name__)


class Answering:
    """Speaks for one action. ``group`` and ``dead_letters`` name it in what cannot be read; ``worker`` in results."""

    def __init__(
        self,
        action: str,
        *,
        replies: Replies,
        attempts: Attempts,
        codec: Codec,
        limits: Limits,
        worker: str,
        group: str,
        dead_letters: str,
        dead_letter_partitions: int,
        published: Callable[[str], None] | None = None,
    ) -> None:
        self._action = action
        self._replies = replies
        self._attempts = attempts
        self._codec = codec
        self._largest = limits.record_bytes
        self._worker = worker
        self._group = group
        self._dead_letters = dead_letters
        self._dead_letter_partitions = dead_letter_partitions
        self._published = published  # told of each command whose result the brokers have
        self._durations = {outcome: metrics.STEP_DURATION.labels(action, outcome) for outcome in _OUTCOMES}
        # A series that is there from the beginning: the increase of one that begins with its first event is zero.
        self._from_inbox = metrics.INBOX_DUPLICATES.labels(action)
        self._timeouts = {error: metrics.STEP_TIMEOUTS.labels(kind) for error, kind in _TIMEOUTS.items()}

    def answer(self, attempt: Attempt, outcome: Outcome) -> None:
        """Send the result of an attempt; nothing when it was given up and answered before."""
        if attempt.answered:
            return
        if not isinstance(outcome, Done):
            self.beat(attempt)  # for the attempt after it, or for whoever answers in its place
        attempt.answered = True
        result = answers.result(attempt.command, outcome, worker=self._worker, started_at=attempt.started_at)
        self._count(outcome, result, attempt.trace)
        self._send(attempt, result)

    def repeat(self, attempt: Attempt, result: ActionResult) -> None:
        """Send the remembered result of an earlier delivery to the place that this one names."""
        attempt.answered = True
        self._send(attempt, result.replace(nonce=attempt.command.nonce))

    def begun(self, attempt: Attempt) -> None:
        """Say that user code has begun, so that its time counts."""
        attempt.noticed = True
        word = answers.started(attempt.command, worker=self._worker, started_at=attempt.started_at)
        record = answers.record(self._codec, word, attempt.trace)
        self._replies.send(_reply_to(attempt.command), Reply(record=record))

    def beat(self, attempt: Attempt) -> None:
        """Say that user code goes on, and what it last said of how far it is, if that was not said yet."""
        if attempt.answered or not attempt.beats:
            return
        attempt.noticed = True  # it says as well that the attempt has begun
        attempt.beaten_at = answers.now_ms()
        word = answers.heartbeat(attempt.command, attempt.beats.pop(), worker=self._worker)
        self._replies.send(_reply_to(attempt.command), Reply(record=answers.record(self._codec, word, attempt.trace)))

    def set_aside(self, record: InRecord, claim: Claim, unreadable: Unreadable) -> None:
        """Keep a record that is no command for this action, and tell its run if its ids are known."""
        metrics.DEAD_LETTERS.labels(self._action, "unreadable").inc()
        _log.error(
            "a command cannot be read", partition=record.partition, offset=record.offset, reason=str(unreadable.error)
        )

        def kept() -> None:
            if unreadable.result is None or unreadable.reply_to is None:
                claim.finish()
                return
            answer = answers.record(self._codec, unreadable.result, headers.trace_of(record))
            self._replies.send(unreadable.reply_to, Reply(record=answer, settled=claim.finish))

        self._set_aside(record, unreadable.error, kept)

    def quarantine(self, attempt: Attempt, record: InRecord, error: CommandDeadly) -> None:
        """Keep a command that nobody survives, and answer that its attempt failed for good."""
        metrics.DEAD_LETTERS.labels(self._action, "deadly").inc()
        _log.error("a command is set aside", command=attempt.command.command_id, reason=str(error))

        def kept() -> None:
            self.answer(attempt, outcomes.failed(ErrorType.DEADLY, str(error)))

        self._set_aside(record, error, kept)

    def _set_aside(self, record: InRecord, error: ActionbusError, kept: Callable[[], None]) -> None:
        letter = dead_letter(record, group=self._group, error=error, largest=self._largest)
        place = (self._dead_letters, record.partition % self._dead_letter_partitions)

        def settled() -> None:
            crashing.visit(crashing.Point.LETTER_PUBLISHED)
            kept()

        def too_large() -> None:  # whoever keeps letters takes less than we: the place of the record says the rest
            small = dead_letter(record, group=self._group, error=error, largest=0)
            self._replies.send(place, Reply(record=small, settled=settled))

        self._replies.send(place, Reply(record=letter, settled=settled, too_large=too_large))

    def _send(self, attempt: Attempt, result: ActionResult) -> None:
        def settled() -> None:
            crashing.visit(crashing.Point.RESULT_PUBLISHED)
            self._attempts.settle(attempt, result)
            if self._published is not None:
                self._published(result.command_id)

        def too_large() -> None:
            message = "output and emits are larger than the results topic takes"
            failure = outcomes.failed(ErrorType.RESULT_TOO_LARGE, message)
            self._send(attempt, answers.result(attempt.command, failure, worker=self._worker, started_at=0))

        record = answers.record(self._codec, result, attempt.trace)
        reply = Reply(record=record, settled=settled, too_large=too_large if result.error is None else None)
        self._replies.send(_reply_to(attempt.command), reply)

    def _count(self, outcome: Outcome, result: ActionResult, trace: str | None) -> None:
        seconds = max(0, result.finished_at - result.started_at) / 1000
        self._durations[result.kind.value].observe(seconds, metrics.example(trace))
        if outcome.repeated:
            self._from_inbox.inc()
        if not isinstance(outcome, Failed | InDoubt):
            return
        error = outcome.error
        _log.info(
            "an attempt failed" if isinstance(outcome, Failed) else "an attempt is in doubt",
            command=result.command_id,
            type=error.type,
            reason=error.message,
            retryable=error.retryable,
        )
        if error.type in self._timeouts:
            self._timeouts[error.type].inc()


def _reply_to(command: ActionCommand) -> Place:
    return command.reply_topic, command.reply_partition
