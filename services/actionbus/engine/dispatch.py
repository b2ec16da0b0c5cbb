"""The commands that a run has out, derived from its state alone: after a batch, at a takeover, in a test without Kafka.

Commands are never collected while inputs are folded: a step that one input of a batch schedules and the next one gives
up would send a command that no committed state knows of.
"""

from collections.abc import Callable

from actionbus.contracts import identifiers
from actionbus.contracts.commands import ActionCommand, CommandKind
from actionbus.contracts.definitions import Effect
from actionbus.contracts.errors import InvariantBroken
from actionbus.contracts.model import trusted
from actionbus.contracts.run import StepState, StepStatus, TimerKind, WorkflowRun
from actionbus.engine.definition import Definition
from actionbus.engine.shapes.step import StepPlan, closes_itself

_order = trusted(ActionCommand)


def commands(  # noqa: PLR0917 - everything a command needs and a run does not know
    definition: Definition,
    run: WorkflowRun,
    after_seq: int,
    reply_topic: str,
    reply_partition: int,
    nonce: Callable[[str], str],
) -> tuple[ActionCommand, ...]:
    """The commands scheduled by transactions after ``after_seq`` and still wanted, in the order of the steps.

    ``nonce`` gives the keyed hash of a command id. The same run gives the same commands, whenever it is asked.
    """
    return tuple(
        _command(definition, run, step, (reply_topic, reply_partition), nonce)
        for step in run.steps
        if step.dispatch_seq > after_seq and step.waits_for_worker
    )


def _command(
    definition: Definition,
    run: WorkflowRun,
    step: StepState,
    reply_to: tuple[str, int],
    nonce: Callable[[str], str],
) -> ActionCommand:
    undo = step.status is StepStatus.COMPENSATING
    key = run.key(step)
    command_id = identifiers.command_id(key, step.attempt, undo=undo)
    return _order(
        command_id=command_id,
        step_key=key,
        run_id=run.run_id,
        workflow=run.workflow,
        definition_version=run.definition_version,
        step=step.path,
        action=step.action,
        attempt=step.attempt,
        kind=CommandKind.COMPENSATE if undo else CommandKind.EXECUTE,
        input=step.input if step.input is not None else b"null",
        template=undo and closes_itself(definition.place(step.path)),
        original_output=step.output if undo else None,
        reply_topic=reply_to[0],
        reply_partition=reply_to[1],
        nonce=nonce(command_id),
        start_to_close_ms=None if undo else _plan(definition, step.path).start_to_close_ms,
        heartbeat_ms=None if undo else _plan(definition, step.path).heartbeat_ms,
        heartbeat_details=step.heartbeat,
        deadline=None if undo else _deadline(definition, run, step),
        issued_at=step.scheduled_at,
    )


def _plan(definition: Definition, path: str) -> StepPlan:
    place = definition.place(path)
    if place is None or not isinstance(place.plan, StepPlan):
        raise InvariantBroken(f"a run has a step {path} that its definition does not know")
    return place.plan


def _deadline(definition: Definition, run: WorkflowRun, step: StepState) -> int | None:
    """When nobody may begin the attempt any more.

    An inbox closes a step that is undone: beside it no deadline is needed. Without one only the clock keeps a command
    that lay about from being carried out after the step was undone.
    """
    bounds = [
        timer.due_at
        for timer in run.timers
        if timer.kind is TimerKind.RUN_TIMEOUT
        or (timer.kind is TimerKind.SCHEDULE_TO_CLOSE and timer.step == step.path)
    ]
    if definition.action(step.action).effect is not Effect.TRANSACTIONAL:
        bounds.append(step.scheduled_at + definition.limits.command_wait_ms)
    return min(bounds, default=None)
