"""A worker says that user code has begun: from now on the attempt may take as long as one attempt is allowed.

The time does not begin with the dispatch: a command that waits for a worker which is down for hours is backlog, no
failure.
"""

from actionbus.contracts.identifiers import CommandId
from actionbus.contracts.run import StepState, StepStatus, TimerKind
from actionbus.engine.draft import Draft
from actionbus.engine.shapes.step import plan_of
from actionbus.engine.transition import Outcome


def started(draft: Draft, command: CommandId) -> Outcome:
    """Set the timer of the attempt, anew when another worker began it again. It makes no event."""
    step = draft.steps.get(command.path)
    if step is None or step.attempt != command.attempt or not _awaited(step, undo=command.undo):
        return Outcome.STALE
    if command.undo:
        limit = draft.definition.action(step.action).start_to_close_ms
    else:
        limit = plan_of(draft, step.path).start_to_close_ms
    draft.disarm(step.path, TimerKind.START_TO_CLOSE, TimerKind.SCHEDULE_TO_START)
    draft.arm(TimerKind.START_TO_CLOSE, draft.now + limit, step.path)
    return Outcome.APPLIED


def _awaited(step: StepState, *, undo: bool) -> bool:
    if undo:
        return step.status is StepStatus.COMPENSATING and step.dispatch_seq > 0
    return step.status is StepStatus.SCHEDULED
