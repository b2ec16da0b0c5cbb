"""User code leaves the answer to whoever holds the token of the attempt: the step waits on, and no worker has it."""

from actionbus.contracts.definitions import Effect
from actionbus.contracts.events import EntryKind
from actionbus.contracts.identifiers import CommandId
from actionbus.contracts.results import ActionResult
from actionbus.contracts.run import StepState
from actionbus.engine import compensate, emits, fail, started
from actionbus.engine.draft import Draft
from actionbus.engine.transition import Outcome


def deferred(draft: Draft, result: ActionResult, command: CommandId) -> Outcome:
    """Let the current attempt wait for its answer, in the time that it has; publish what it asks for.

    The time of an attempt that was not heard of before begins now.
    """
    step = started.current(draft, command)
    if step is None:
        return Outcome.STALE
    if step.handed_over:
        return Outcome.REPEATED
    asked = () if _published_before(draft, step) else result.emits
    error = emits.refusal(draft, step, asked)
    if error is not None:
        (compensate.broken if command.undo else fail.broken)(draft, step, error)
        return Outcome.APPLIED
    draft.keep(step.replace(deferred=step.attempt))
    started.hear(draft, step)
    draft.tell(EntryKind.STEP_DEFERRED, step)
    emits.publish(draft, step, asked)
    return Outcome.APPLIED


def _published_before(draft: Draft, step: StepState) -> bool:
    """Whether an earlier attempt has asked for the same records: beside an inbox every attempt answers from one row."""
    return step.deferred > 0 and draft.definition.action(step.action).effect is Effect.TRANSACTIONAL
