"""A worker says that a step succeeded: check what it gave, publish what it asks for, and let the run go on."""

from typing import Final

from actionbus.contracts import payloads
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.events import EntryKind
from actionbus.contracts.identifiers import CommandId
from actionbus.contracts.payloads import Json
from actionbus.contracts.results import ActionError, ActionResult
from actionbus.contracts.run import UNDER_WAY, StepState, StepStatus
from actionbus.engine import differing, emits, fail, failure
from actionbus.engine.draft import Draft
from actionbus.engine.shapes import step as steps
from actionbus.engine.template import fitting
from actionbus.engine.transition import Outcome

FROM_OUTSIDE: Final = "the holder of its token answered"


def complete(draft: Draft, result: ActionResult, command: CommandId) -> Outcome:
    """Accept a success of any attempt while the step waits for one: the step key is the same, so the effect is one.

    A step that waits for an operator still waits for one.
    """
    step = draft.steps.get(command.path)
    if step is None or not 1 <= command.attempt <= step.attempt:
        return Outcome.STALE
    waits_for_operator = step.status in (StepStatus.FAILED, StepStatus.UNKNOWN) and step.stuck is not None
    if step.status not in UNDER_WAY and not waits_for_operator:
        return Outcome.STALE
    value, output, error = _read(draft, step, result)
    if error is not None:
        if step.attempt != command.attempt or step.status is not StepStatus.SCHEDULED:
            return Outcome.STALE
        fail.broken(draft, step, error)
        return Outcome.APPLIED
    draft.disarm(step.path)
    draft.unstick(step)
    draft.unhold(step.path)
    draft.know(step.path, value)
    steps.keep_for_undo(draft, step.path, output, from_outside=result.by_token)
    draft.note(
        EntryKind.STEP_SUCCEEDED,
        step=step.path,
        action=step.action,
        attempt=command.attempt,
        data=output,
        reason=FROM_OUTSIDE if result.by_token else None,
    )
    if not result.by_token:
        differing.accepted(draft, step, command.attempt, output)
    emits.publish(draft, step, result.emits)
    draft.finish(step.path, output)
    return Outcome.APPLIED


def _read(draft: Draft, step: StepState, result: ActionResult) -> tuple[Json, bytes, ActionError | None]:
    """The output as a value and as bytes, and the error that it is; what came by a token gets its defaults."""
    limits = draft.definition.limits
    output = result.output if result.output is not None else b"null"
    if len(output) > limits.payload_bytes:
        why = f"the output has {len(output)} bytes, the limit is {limits.payload_bytes}"
        return None, output, failure.refused(failure.RESULT_TOO_LARGE, why)
    error = emits.refusal(draft, step, result.emits)
    if error is not None:
        return None, output, error
    schema = draft.definition.output_of(step.action)
    try:
        value = payloads.decode(output)
        if result.by_token:
            value, output = fitting(output, schema, limits)
        else:
            schema.check(value)
    except PayloadRefused as refused:
        return None, output, failure.refused(failure.OUTPUT_REFUSED, str(refused))
    return value, output, None
