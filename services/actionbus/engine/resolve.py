"""How a run goes on after a step that failed for good, once whatever the step may have done is undone."""

from actionbus.contracts import payloads
from actionbus.contracts.definitions import ContinueWith, Fallback
from actionbus.contracts.events import EntryKind
from actionbus.contracts.run import StepState, StepStatus
from actionbus.engine.draft import Draft


def resolve(draft: Draft, step: StepState, then: Fallback | ContinueWith) -> None:
    """Let the fallback stand in for the step, or go on as if it had given a value. Its state must hold its error."""
    match then:
        case ContinueWith(value=value):
            data = payloads.encode(value)
            draft.tell(EntryKind.STEP_SKIPPED, step, data)
            draft.finish(step.path, data)
        case Fallback(call=call):
            draft.keep(StepState(path=step.path, status=StepStatus.FAILED, action=step.action, error=step.error))
            draft.enter(f"{step.path}.{call.action}")
