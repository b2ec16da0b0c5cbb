"""Tells workers that nobody waits for a command any more, so that they can stop early. A hint: nothing relies on it."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

import structlog

from actionbus.contracts import headers, identifiers
from actionbus.contracts.commands import ControlKind, WorkerControl
from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.contracts.records import OutRecord
from actionbus.contracts.run import RunStatus, StepState, StepStatus, WorkflowRun
from actionbus.orchestrator import records
from actionbus.orchestrator.charter import Charter
from actionbus.orchestrator.fold import Fold
from actionbus.orchestrator.reconcile import outstanding

PARTITION: Final = 0  # the control topic has one
_REASONS: Final = {
    EntryKind.STEP_TIMED_OUT: "the attempt took too long",
    EntryKind.STEP_CANCELLED: "the step is not needed any more",
    EntryKind.STEP_SKIPPED: "the run goes on without the step",
    EntryKind.STEP_COMPLETED: "somebody completed the step by hand",
}
_Attempt = tuple[str, int]  # the path of a step, and which attempt of it

_log = structlog.get_logger(__name__)


def given_up(fold: Fold, before: Callable[[str], WorkflowRun | None]) -> Iterator[WorkerControl]:
    """The commands that a fold has given up: of attempts that took too long, of steps that are not needed any more.

    With them those that were given up before, and of which somebody says that they are worked on.
    ``before`` gives a run as it stood before the fold: what was scheduled within it has not gone out.
    """
    out: dict[str, dict[_Attempt, StepState]] = {}
    for happened in fold.events:
        event = happened.event
        if not any(_calls_back(event, entry) for entry in event.entries):
            continue
        run = before(event.run_id)
        if run is None or run.incarnation != event.incarnation:
            continue
        left = out.setdefault(run.run_id, {(step.path, step.attempt): step for step in outstanding(run)})
        for entry in event.entries:
            for step in _given_up(event, entry, left):
                yield _control(run, step, _why(event, entry))
    for command_id in fold.unwanted:
        yield WorkerControl(
            command_id=command_id, action="", kind=ControlKind.CANCEL, reason="the attempt was given up before"
        )


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


def _calls_back(event: WorkflowEvent, entry: EventEntry) -> bool:
    return entry.kind in _REASONS or (entry.kind is EntryKind.RUN_ENDED and event.status is RunStatus.TERMINATED)


def _given_up(event: WorkflowEvent, entry: EventEntry, left: dict[_Attempt, StepState]) -> list[StepState]:
    """What an entry takes from the commands that are out, as far as nobody has answered them."""
    if entry.kind is EntryKind.RUN_ENDED:  # of a terminated run: what was being undone is left as well
        undoing = list(left.values()) if event.status is RunStatus.TERMINATED else []
        left.clear()
        return undoing
    if entry.step is None or entry.attempt is None or entry.kind not in (*_REASONS, EntryKind.STEP_FAILED):
        return []
    step = left.pop((entry.step, entry.attempt), None)
    return [] if step is None or entry.kind is EntryKind.STEP_FAILED else [step]


def _why(event: WorkflowEvent, entry: EventEntry) -> str:
    """Why the run or the branch around it was given up, if it was; else what happened to the step."""
    around = (EntryKind.RUN_COMPENSATING, EntryKind.RUN_ENDED, EntryKind.BRANCH_GIVEN_UP)
    told = (each.reason for each in event.entries if each.kind in around and each.reason)
    return next(told, None) or _REASONS.get(entry.kind, "the run ends")


def _control(run: WorkflowRun, step: StepState, reason: str) -> WorkerControl:
    command_id = identifiers.command_id(run.key(step), step.attempt, undo=step.status is StepStatus.COMPENSATING)
    return WorkerControl(command_id=command_id, action=step.action, kind=ControlKind.CANCEL, reason=reason)


def _done(written: asyncio.Future[int]) -> None:
    error = None if written.cancelled() else written.exception()
    if error is not None:
        _log.warning("workers could not be told to stop", error=str(error))
