"""Records that a worker asks to be published with its result: only to topics that its action declared."""

from actionbus.contracts import payloads
from actionbus.contracts.events import EntryKind
from actionbus.contracts.results import ActionError, Emit
from actionbus.contracts.run import StepState
from actionbus.engine import failure
from actionbus.engine.draft import Draft


def refusal(draft: Draft, step: StepState, emits: tuple[Emit, ...]) -> ActionError | None:
    """Why the records are refused, all of them and the result with them; None when they are not."""
    if not emits:
        return None
    limit = draft.definition.limits.emits_per_result
    if len(emits) > limit:
        return failure.refused(failure.EMIT_REFUSED, f"the result emits {len(emits)} records, the limit is {limit}")
    declared = draft.definition.action(step.action).emits
    for emit in emits:
        if emit.topic not in declared:
            return failure.refused(failure.EMIT_REFUSED, f"{step.action} did not declare that it emits to {emit.topic}")
    return None


def publish(draft: Draft, step: StepState, emits: tuple[Emit, ...]) -> None:
    """Publish the records with the transition."""
    for emit in emits:
        draft.note(EntryKind.RECORD_EMITTED, step=step.path, data=payloads.encode({"topic": emit.topic}))
    draft.emits.extend(emits)
