"""Undoing: last first, one at a time, tried again by the graph's undo policy, at last an incident, never dropped."""

from dataclasses import asdict

from actionbus.contracts import identifiers, payloads, templates
from actionbus.contracts.definitions import Effect
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.events import EntryKind
from actionbus.contracts.identifiers import CommandId
from actionbus.contracts.results import ActionError, ActionResult
from actionbus.contracts.run import Compensation, HeldKind, StepState, StepStatus, TimerKind
from actionbus.engine import backoff, emits, failure, turns
from actionbus.engine.draft import Draft
from actionbus.engine.moves import Unwind
from actionbus.engine.paths import ROOT, below
from actionbus.engine.shapes.step import closes_itself
from actionbus.engine.transition import Outcome


def next_below(draft: Draft, asked: Unwind) -> bool:
    """Go on with undoing what was done below a path; False when nothing is left to undo there.

    Whoever asked stands in the step that is undone: only they go on after it. Of a run that heads for its ending the
    root has asked.
    """
    resolution = None if draft.ending is not None else payloads.encode(asdict(asked))
    for step in draft.steps.values():
        if step.status is StepStatus.COMPENSATING and below(step.path, asked.below):
            draft.keep(step.replace(resolution=resolution))
            return True
    if asked.begun:
        return False
    undo = next((each for each in reversed(draft.compensations) if below(each.step, asked.below)), None)
    if undo is None:
        return False
    begin(draft, undo, resolution=resolution)
    return True


def begin(
    draft: Draft, undo: Compensation, *, resolution: bytes | None = None, error: ActionError | None = None
) -> None:
    """Send the command that undoes a step. ``resolution`` and ``error`` tell how the run goes on after it, if so."""
    if draft.compensations[-1] is undo:
        draft.compensations = draft.compensations[:-1]
    else:
        draft.compensations = tuple(each for each in draft.compensations if each is not undo)
    step = StepState(
        path=undo.step,
        status=StepStatus.COMPENSATING,
        action=undo.action,
        first_scheduled_at=draft.now,
        input=undo.input,
        output=undo.output,
        error=error,
        resolution=resolution,
        incarnation=undo.incarnation,
    )
    _send(draft, step)


def again(draft: Draft, step: StepState) -> None:
    """Send the next attempt to undo a step; in a paused run, once it is resumed."""
    if draft.paused:
        draft.keep(step.replace(dispatch_seq=0))
        draft.hold(HeldKind.AGAIN, step.path)
        return
    _send(draft, step)


def _send(draft: Draft, step: StepState) -> None:
    """Send the next attempt, or let it wait for its turn."""
    limit = draft.definition.action(step.action).limit
    if limit is None:
        dispatch(draft, step)
        return
    turns.wait(draft, step.replace(dispatch_seq=0), step.turn or turns.of_undo(limit, step))


def dispatch(draft: Draft, step: StepState) -> None:
    """Send the next attempt. Before the first one, what is kept as its input is still a template."""
    try:
        data = step.input if step.attempt else _input(draft, step)
    except PayloadRefused as refused:
        draft.stick(step.replace(dispatch_seq=0), f"the input of the undo cannot be made: {refused}")
        return
    step = step.replace(attempt=step.attempt + 1, dispatch_seq=draft.seq, scheduled_at=draft.now, input=data)
    draft.keep(step)
    draft.tell(EntryKind.COMPENSATION_SCHEDULED, step, data)


def undone(draft: Draft, result: ActionResult, command: CommandId) -> Outcome:
    """A worker says that a step is undone or never happened: any attempt's word counts."""
    step = draft.steps.get(command.path)
    if step is None or step.status is not StepStatus.COMPENSATING or not 1 <= command.attempt <= step.attempt:
        return Outcome.STALE
    error = emits.refusal(draft, step, result.emits)
    if error is not None:
        if step.dispatch_seq == 0 or step.attempt != command.attempt:
            return Outcome.STALE
        broken(draft, step, error)
        return Outcome.APPLIED
    data = result.output if result.output and len(result.output) <= draft.definition.limits.payload_bytes else None
    emits.publish(draft, step, result.emits)
    close(draft, step, data)
    return Outcome.APPLIED


def close(draft: Draft, step: StepState, data: bytes | None = None, reason: str | None = None) -> None:
    """A step is undone, by a worker or as an operator says: what waited for it goes on."""
    draft.disarm(step.path)
    draft.unhold(step.path)
    del draft.steps[step.path]
    draft.tell(EntryKind.STEP_COMPENSATED, step, data, reason)
    step = draft.unstick(step)
    then = payloads.decode(step.resolution) if step.resolution is not None else {}
    if draft.ending is not None:
        draft.unwind(ROOT, ROOT)
    elif "rule" in then:
        draft.undone(step)
    elif then:
        draft.unwind(**then)


def failed(draft: Draft, result: ActionResult, command: CommandId) -> Outcome:
    """A worker says that an attempt to undo a step failed. Only the current attempt's failure counts."""
    step = _current(draft, command)
    if isinstance(step, Outcome):
        return step
    broken(draft, step, result.error or ActionError(type=failure.UNREADABLE, message="the worker gave no error"))
    return Outcome.APPLIED


def in_doubt(draft: Draft, result: ActionResult, command: CommandId) -> Outcome:
    """A worker says that nobody knows whether the current attempt to undo a step had its effect: a person looks."""
    step = _current(draft, command)
    if isinstance(step, Outcome):
        return step
    error = result.error or ActionError(type=failure.OUTCOME_UNKNOWN, message="the worker does not say why")
    error = failure.bounded(error, draft.definition.limits)
    draft.disarm(step.path, TimerKind.START_TO_CLOSE, TimerKind.HEARTBEAT)
    draft.tell(EntryKind.STEP_IN_DOUBT, step, failure.as_bytes(error))
    draft.stick(step.replace(dispatch_seq=0), f"nobody knows whether it is undone: {error.message or error.type}")
    return Outcome.APPLIED


def _current(draft: Draft, command: CommandId) -> StepState | Outcome:
    """The step whose undoing is at this very attempt, or what becomes of the word of any other one."""
    step = draft.steps.get(command.path)
    if step is None or step.status is not StepStatus.COMPENSATING or step.attempt != command.attempt:
        return Outcome.STALE
    return step if step.dispatch_seq else Outcome.REPEATED


def broken(draft: Draft, step: StepState, error: ActionError) -> None:
    """An attempt to undo a step failed or took too long: try again by the policy, else call an operator."""
    policy = draft.definition.graph.undo_retry
    limit = backoff.attempts(policy)
    error = failure.bounded(error, draft.definition.limits)
    draft.disarm(step.path, TimerKind.START_TO_CLOSE, TimerKind.HEARTBEAT)
    draft.tell(EntryKind.COMPENSATION_FAILED, step, failure.as_bytes(error))
    waiting = step.replace(dispatch_seq=0)
    if not error.retryable and error.type != failure.DEADLINE_PASSED:
        draft.stick(waiting, f"undoing it failed for good: {error.type}: {error.message}")
        return
    if draft.definition.action(step.action).effect is Effect.AT_MOST_ONCE and not failure.never_began(error):
        reason = f"undoing it failed, and {step.action} runs at most once: {error.type}: {error.message}"
        draft.stick(waiting, reason)
        return
    if limit is not None and step.attempt >= limit:
        draft.stick(waiting, f"all {limit} attempts to undo it failed, the last: {error.type}: {error.message}")
        return
    delay = error.retry_after_ms
    if delay is None:
        key = draft.run.key(step)
        delay = backoff.delay_before_next(policy, step.attempt, identifiers.command_id(key, step.attempt, undo=True))
    if delay == 0:
        again(draft, step)
    else:
        draft.keep(waiting)
        draft.arm(TimerKind.RETRY, draft.now + delay, step.path)


def _input(draft: Draft, step: StepState) -> bytes:
    """The input of the undo. Beside an inbox it stays open in what the step made: the worker reads it from the row."""
    template = step.input or b"null"
    if closes_itself(draft.definition.place(step.path)):
        return template
    made = payloads.decode(step.output) if step.output is not None else None
    return payloads.encode(templates.fill(payloads.decode(template), {templates.MADE: made}))
