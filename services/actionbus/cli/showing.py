"""How a run and its events become rows. What a run waits for is told by its state and by its definition."""

from collections.abc import Iterator
from typing import Any

from actionbus.cli import output
from actionbus.cli.output import Row
from actionbus.contracts.definitions import Graph
from actionbus.contracts.events import EventEntry, WorkflowEvent
from actionbus.contracts.nodes import PersonNode, Waiting
from actionbus.contracts.run import RunStatus, ScopeState, StepState, StepStatus, TimerKind, Turn, WorkflowRun
from actionbus.engine.paths import static
from actionbus.engine.shapes.person import task

_TIMES = {
    TimerKind.WAKE: "the time",
    TimerKind.RETRY: "the next attempt",
    TimerKind.RUN_TIMEOUT: "the end of the run's time",
    TimerKind.RETENTION: "to be forgotten",
}


def state(run: WorkflowRun, definition: Graph | None) -> Row:
    """Where a run stands; ``definition``: the graph that it is pinned to, which knows the names of signals."""
    incident, error = run.incident, run.error
    return {
        "run_id": run.run_id,
        "workflow": run.workflow,
        "version": run.definition_version,
        "status": run.status.value,
        "priority": run.priority,
        "heading_for": run.ending and run.ending.value,
        "incident": incident and incident.reason,
        "error": error and f"{error.type}: {error.message}",
        "started_at": output.when(run.created_at),
        "changed_at": output.when(run.updated_at),
        "transitions": run.version,
        "incarnation": run.incarnation,
        "input": output.opened(run.input),
        "output": output.opened(run.output),
        "waits_for": list(waits_for(run, waits_of(definition))),
        "steps": [
            {
                "step": step.path,
                "status": step.status.value,
                "action": step.action,
                "attempt": step.attempt,
                "stuck": step.stuck,
                "heard_at": output.when(step.seen_at) if step.seen_at else None,
                "heartbeat": output.opened(step.heartbeat),
            }
            for step in run.steps
        ],
        "compensations": [{"step": undo.step, "action": undo.action} for undo in run.compensations],
        "timers": [
            {"kind": timer.kind.value, "step": timer.step, "due_at": output.when(timer.due_at)} for timer in run.timers
        ],
        "signals": [
            {
                "signal": early.name,
                "received_at": output.when(early.received_at),
                "payload": output.opened(early.payload),
            }
            for early in run.signals
        ],
        "views": {name: output.opened(value) for name, value in run.views.items()},
        "held": [{"kind": held.kind.value, "path": held.path} for held in run.held],
        "trace": run.trace,
    }


def waits_for(run: WorkflowRun, waits: dict[str, Waiting]) -> Iterator[str]:
    """What has to happen before a run goes on, in sentences; ``waits``: the nodes that wait, by their static paths."""
    if run.status is RunStatus.PAUSED:
        yield "to be resumed"
    if run.queued and run.turn is not None:
        yield f"its turn to begin, under the limit of {run.workflow}{_line(run.turn)}"
    due = {timer.step: output.when(timer.due_at) for timer in run.timers if timer.kind is TimerKind.WAKE}
    for step in run.steps:
        yield from _step_waits_for(step)
    for scope in run.scopes:
        node = waits.get(static(scope.path))
        if node is not None:
            until = due.pop(scope.path, None)
            yield f"{scope.path}: {_awaited(node, scope)}{f', until {until}' if until else ''}"
    for timer in run.timers:
        if timer.kind in _TIMES and (timer.kind is not TimerKind.WAKE or timer.step in due):
            yield f"{timer.step or 'the run'}: {_TIMES[timer.kind]} {output.when(timer.due_at)}"


def _awaited(node: Waiting, scope: ScopeState) -> str:
    if not isinstance(node, PersonNode):
        return f"the signal {node.signal}"
    asked = task(scope)
    return f"{asked['assignee'] or 'anybody'}, who is asked for {asked['title']!r}"


def _step_waits_for(step: StepState) -> Iterator[str]:
    if step.stuck is not None:
        yield f"{step.path}: an operator, because {step.stuck}"
    elif step.waits_for_worker:
        yield f"{step.path}: the result of {step.action}, attempt {step.attempt}"
    elif step.status in (StepStatus.SCHEDULED, StepStatus.COMPENSATING) and step.handed_over:
        yield f"{step.path}: an answer from whoever has the token of {step.action}, attempt {step.attempt}"
    elif step.queued and step.turn is not None:
        yield f"{step.path}: its turn, under the limit of {step.action}{_line(step.turn)}"


def _line(turn: Turn) -> str:
    return f"{f' for {turn.key}' if turn.key else ''}, since {output.when(turn.queued_at)}"


def waits_of(definition: Graph | None) -> dict[str, Waiting]:
    """The nodes of a definition that wait for a signal, by their static paths."""
    if definition is None:
        return {}
    return {path: node for path, node, _ in definition.nodes() if isinstance(node, Waiting)}


def rows(event: WorkflowEvent) -> list[Row]:
    """An event as rows, one for each thing that happened."""
    return [
        {
            "at": output.when(event.at),
            "version": event.version,
            "status": event.status.value,
            "kind": entry.kind.value,
            "step": entry.step,
            "action": entry.action,
            "attempt": entry.attempt,
            "detail": _detail(entry),
            "data": output.opened(entry.data),
            "request_id": entry.request_id,
        }
        for entry in event.entries
    ]


def _detail(entry: EventEntry) -> Any:
    if entry.decision is not None:
        return ": ".join(part for part in (entry.decision.decision, entry.decision.reason) if part)
    if entry.reason:
        return entry.reason
    return None if entry.data is None else entry.data.decode("utf-8", "replace")
