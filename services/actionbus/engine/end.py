"""How a run ends: at once when it completed, by way of its compensations otherwise."""

from actionbus.contracts.errors import InvariantBroken, PayloadRefused
from actionbus.contracts.events import EntryKind
from actionbus.contracts.results import ActionError
from actionbus.contracts.run import RunStatus, TimerKind
from actionbus.engine import failure, report
from actionbus.engine.draft import Draft
from actionbus.engine.paths import ROOT


def complete(draft: Draft) -> None:
    """Every node is done: make the output and end the run. An output that cannot be made fails the run."""
    definition = draft.definition
    try:
        value = draft.fill(definition.output, ROOT)
        definition.output_schema.check(value)
        output = draft.fill_bytes(definition.output, ROOT)
    except PayloadRefused as refused:
        error = failure.refused(failure.OUTPUT_REFUSED, f"the run's output: {refused}")
        draft.decide("compensate", reason=f"{error.type}: {error.message}")
        head_for(draft, RunStatus.FAILED, error)
        return
    draft.output = output
    _close(draft, RunStatus.COMPLETED, output)


def head_for(draft: Draft, ending: RunStatus, error: ActionError, *, only: str | None = None) -> None:
    """Give up what is under way and undo what the run did; then end it. ``only``: undo that step and nothing else.

    A step that is being undone already goes on being undone, and counts as the first.
    """
    draft.abandon(ROOT)
    if only is not None:
        draft.compensations = tuple(undo for undo in draft.compensations if undo.step == only)
    draft.timers = tuple(timer for timer in draft.timers if timer.step is not None)
    draft.input = None
    draft.drop_signals()
    if not draft.paused:
        draft.status = RunStatus.COMPENSATING
    draft.ending = ending
    draft.error = error
    if draft.compensations or draft.steps:
        draft.note(EntryKind.RUN_COMPENSATING, reason=f"{error.type}: {error.message}")
    draft.unwind(ROOT, ROOT)


def arrive(draft: Draft) -> None:
    """Nothing is left to undo: the run ends as it was heading to."""
    if draft.ending is None or draft.error is None:
        raise InvariantBroken(f"run {draft.run.run_id} unwinds without an ending")
    reason = f"{draft.error.type}: {draft.error.message}"
    _close(draft, draft.ending, failure.as_bytes(draft.error), reason)


def at_once(draft: Draft, status: RunStatus, error: ActionError) -> None:
    """End the run as it stands: nothing is undone."""
    draft.abandon(ROOT)
    draft.error = error
    _close(draft, status, failure.as_bytes(error), f"{error.type}: {error.message}")


def _close(draft: Draft, status: RunStatus, data: bytes, reason: str | None = None) -> None:
    draft.status = status
    draft.ending = None
    draft.input = None
    draft.drop_signals()
    draft.held = ()
    draft.moves.clear()
    for step in draft.steps.values():
        draft.unstick(step)
    draft.steps.clear()
    draft.scopes.clear()
    draft.timers = ()
    draft.compensations = ()
    draft.arm(TimerKind.RETENTION, draft.now + draft.definition.run_retention_ms)
    draft.note(EntryKind.RUN_ENDED, data=data, reason=reason)
    if draft.run.parent is not None and draft.run.parent.waits:
        ended = draft.run.replace(status=status, output=draft.output, error=draft.error)
        draft.sent.append(report.of(ended, draft.now))
