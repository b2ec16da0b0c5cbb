"""Tells workers that nobody waits for a command any more, so that they can stop early. A hint: nothing relies on it."""

import asyncio
from collections.abc import Callable, Iterator

import structlog

from actionbus.contracts import headers, identifiers
from actionbus.contracts.commands import ControlKind, WorkerControl
from actionbus.contracts.events import EntryKind, EventEntry
from actionbus.contracts.records import OutRecord
from actionbus.contracts.run import RunStatus, StepState, StepStatus, WorkflowRun
from actionbus.orchestrator import records
from actionbus.orchestrator.charter import Charter
from actionbus.orchestrator.fold import Fold

PARTITION = 0  # the control topic has one

_log = structlog.get_logger(__name__)


def given_up(fold: Fold, before: Callable[[str], WorkflowRun | None]) -> Iterator[WorkerControl]:
    """The commands that a fold has given up: of attempts that took too long, and of runs that head for their end.

    ``before`` gives a run as it stood before the fold: what was scheduled within it has not gone out.
    """
    for happened in fold.events:
        event = happened.event
        for entry in event.entries:
            late = entry.kind is EntryKind.STEP_TIMED_OUT
            ends = entry.kind is EntryKind.RUN_COMPENSATING or (
                entry.kind is EntryKind.RUN_ENDED and event.status is not RunStatus.COMPLETED
            )
            if not (late or ends):
                continue
            run = before(event.run_id)
            if run is not None and run.incarnation == event.incarnation:
                yield from _timed_out(run, entry) if late else _ended(run, entry.reason)


def tell(charter: Charter, words: Iterator[WorkerControl], now: int) -> None:
    """Write them, outside any transaction; a word that is lost costs a worker some time."""
    written = [
        OutRecord(
            key=word.command_id.encode(),
            value=charter.codec.encode(word),
            headers=headers.cloud_event("WorkerControl", f"{word.command_id}/{word.kind}", records.SOURCE, now),
        )
        for word in words
    ]
    if written:
        charter.log.publish(charter.topics.control, PARTITION, written).add_done_callback(_done)


def _out(run: WorkflowRun) -> Iterator[StepState]:
    return (step for step in run.steps if step.status is StepStatus.SCHEDULED and step.dispatch_seq)


def _timed_out(run: WorkflowRun, entry: EventEntry) -> Iterator[WorkerControl]:
    for step in _out(run):
        if step.path == entry.step and step.attempt == entry.attempt:
            yield _control(run, step, "the attempt took too long")


def _ended(run: WorkflowRun, reason: str | None) -> Iterator[WorkerControl]:
    for step in _out(run):
        yield _control(run, step, reason or "the run ends")


def _control(run: WorkflowRun, step: StepState, reason: str) -> WorkerControl:
    key = identifiers.step_key(run.run_id, run.incarnation, step.path)
    command_id = identifiers.command_id(key, step.attempt)
    return WorkerControl(command_id=command_id, action=step.action, kind=ControlKind.CANCEL, reason=reason)


def _done(written: asyncio.Future[int]) -> None:
    error = None if written.cancelled() else written.exception()
    if error is not None:
        _log.warning("workers could not be told to stop", error=str(error))
