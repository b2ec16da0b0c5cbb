"""How a run goes on after a step that failed for good, once whatever the step may have done is undone."""

from actionbus.contracts import payloads
from actionbus.contracts.decisions import ContinueWith, Fallback
from actionbus.contracts.errors import InvariantBroken
from actionbus.contracts.events import EntryKind
from actionbus.contracts.run import StepState, StepStatus
from actionbus.engine import compensate
from actionbus.engine.draft import Draft
from actionbus.engine.shapes.step import plan_of


def begin(draft: Draft, path: str) -> None:
    """Undo what the failed step at a path may have done, if it has an undo; then go on as its rule says."""
    step = draft.steps[path]
    undo = next((each for each in reversed(draft.compensations) if each.step == path), None)
    if undo is None:
        go_on(draft, step)
    else:
        compensate.begin(draft, undo, resolution=step.resolution, error=step.error)


def go_on(draft: Draft, step: StepState) -> None:
    """Let the fallback stand in for the step, or go on as if it had given a value."""
    then = plan_of(draft, step.path).rules[payloads.decode(step.resolution or b"{}")["rule"] - 1].then
    match then:
        case ContinueWith(value=value):
            data = payloads.encode(value)
            draft.tell(EntryKind.STEP_SKIPPED, step, data)
            draft.finish(step.path, data)
        case Fallback(call=call):
            failed = StepState(path=step.path, status=StepStatus.FAILED, action=step.action, error=step.error)
            draft.keep(failed.replace(incarnation=step.incarnation))
            draft.enter(f"{step.path}.{call.action}")
        case _:
            raise InvariantBroken(f"run {draft.run.run_id} gave up {step.path} and does not know how to go on")
