"""A worker says that user code has begun: from now on the attempt may take as long as one attempt is allowed.

The time does not begin with the dispatch: a command that waits for a worker which is down for hours is backlog, no
failure. From now on, too, the attempt has to be heard of as often as its step asks for.
"""

from actionbus.contracts.identifiers import CommandId
from actionbus.contracts.run import StepState, StepStatus, TimerKind
from actionbus.engine.draft import Draft
from actionbus.engine.shapes.step import plan_of
from actionbus.engine.transition import Outcome


def started(draft: Draft, command: CommandId) -> Outcome:
    """Set the timers of the attempt, anew when another worker began it again. It makes no event.

    A command that comes again after the answer was left to somebody else gives that answer no more time.
    """
    step = current(draft, command)
    if step is None:
        return Outcome.STALE
    if step.handed_over:
        return Outcome.REPEATED
    draft.disarm(step.path, TimerKind.START_TO_CLOSE)
    hear(draft, step)
    return Outcome.APPLIED


def current(draft: Draft, command: CommandId) -> StepState | None:
    """The step whose current attempt a command is, as long as its result is waited for."""
    step = draft.steps.get(command.path)
    if step is None or step.attempt != command.attempt or not _awaited(step, undo=command.undo):
        return None
    return step


def hear(draft: Draft, step: StepState) -> None:
    """The current attempt of a step has been heard of: it has begun, and its silence is measured from now on."""
    limit, silence = _limits(draft, step)
    draft.disarm(step.path, TimerKind.SCHEDULE_TO_START, TimerKind.HEARTBEAT)
    if draft.due_at(step.path, TimerKind.START_TO_CLOSE) is None:
        draft.arm(TimerKind.START_TO_CLOSE, draft.now + limit, step.path)
    if silence is not None:
        draft.arm(TimerKind.HEARTBEAT, draft.now + silence, step.path)


def _limits(draft: Draft, step: StepState) -> tuple[int, int | None]:
    """How long the attempt may take, and how long it may say nothing, in milliseconds."""
    if step.status is StepStatus.COMPENSATING:
        action = draft.definition.action(step.action)
        return action.start_to_close_ms, action.heartbeat_ms
    plan = plan_of(draft, step.path)
    return plan.start_to_close_ms, plan.heartbeat_ms


def _awaited(step: StepState, *, undo: bool) -> bool:
    if undo:
        return step.status is StepStatus.COMPENSATING and step.dispatch_seq > 0
    return step.status is StepStatus.SCHEDULED
