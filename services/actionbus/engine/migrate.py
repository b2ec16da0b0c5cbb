"""A live run goes over to another version of its definition, or stays where it is, with the reason.

What is out is out: a step that is under way keeps its name, its action and its input, and what undoes a step keeps the
name that the step had, because workers know both by it. What is done must not be done again, and nothing that comes
before it may have been left out. What the new version reads of what is done must have been kept, and fit.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from actionbus.contracts import payloads
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.events import EntryKind
from actionbus.contracts.requests import WorkflowRequest
from actionbus.contracts.run import Held, HeldKind, ScopeState, StepState, StepStatus, WorkflowRun
from actionbus.engine import verdict
from actionbus.engine.definition import Definition
from actionbus.engine.draft import Draft
from actionbus.engine.migration import outputs, same, scopes, steps
from actionbus.engine.migration.renaming import Renaming, Stays
from actionbus.engine.paths import ROOT, around


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The run stays on its version; the reason in words."""

    reason: str


def migrate(run: WorkflowRun, old: Definition, new: Definition, names: Mapping[str, str]) -> WorkflowRun | Refusal:
    """The run pinned to another definition, everything in it at its place there, or why that cannot be.

    ``names`` gives the new ids of nodes that have another one than before.
    """
    try:
        return _migrated(run, old, new, names)
    except Stays as stays:
        return Refusal(reason=str(stays))


def carry_out(draft: Draft, request: WorkflowRequest, target: Definition | None) -> str | None:
    """Go on under another definition; the reason when the run stays. ``target``: None when it is not deployed."""
    if target is None:
        return f"version {request.version} of {draft.definition.name} is not deployed"
    try:
        names = _names(request)
    except PayloadRefused as refused:
        return f"the map is refused: {refused}"
    before = draft.run.replace(steps=tuple(draft.steps.values()))
    moved = migrate(before, draft.definition, target, names)
    if isinstance(moved, Refusal):
        return moved.reason
    data = payloads.encode({"from": before.definition_version, "to": target.version, "map": names})
    draft.note(
        EntryKind.RUN_MIGRATED,
        request_id=request.request_id,
        data=data,
        reason=verdict.said(request, draft.definition.limits),
    )
    _adopt(draft, target, moved)
    return None


def _adopt(draft: Draft, target: Definition, moved: WorkflowRun) -> None:
    draft.definition, draft.run = target, moved
    draft.input = moved.input
    draft.scopes = {scope.path: scope for scope in moved.scopes}
    draft.steps = {step.path: step for step in moved.steps}
    draft.timers, draft.compensations = moved.timers, moved.compensations
    draft.held, draft.signals = moved.held, moved.signals


def _names(request: WorkflowRequest) -> dict[str, str]:
    value: Any = payloads.decode(request.payload or b"{}")
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise PayloadRefused("it is an object that gives new ids to old ones")
    return value


def _migrated(run: WorkflowRun, old: Definition, new: Definition, names: Mapping[str, str]) -> WorkflowRun:
    if run.status.ended:
        raise Stays(f"the run has ended already: it is {run.status}")
    if new.name != old.name:
        raise Stays(f"it is a run of {old.name}, not of {new.name}")
    if new.version == old.version:
        raise Stays(f"the run is on version {new.version} already")
    if run.unbegun and not same.counts_alike(old.graph.limit, new.graph.limit):
        raise Stays(f"the run has not begun, and the limit of its workflow counts otherwise in version {new.version}")
    renaming = Renaming(old, new, names)
    moved, held = _scopes(renaming, run)
    kept = outputs.Kept(renaming, moved)
    undone = run.ending is not None  # then nothing is read any more
    return run.replace(
        definition_version=new.version,
        definition_hash=new.hash,
        input=None if undone else kept.run_input(run),
        scopes=moved,
        steps=_steps(renaming, run, kept),
        timers=tuple(
            timer if timer.step is None else timer.replace(step=renaming.path(timer.step)) for timer in run.timers
        ),
        compensations=tuple(steps.undo(renaming, each) for each in run.compensations),
        incident=run.incident and run.incident.replace(step=renaming.path(run.incident.step or ROOT)),
        signals=_signals(run, new),
        held=held,
    )


def _scopes(renaming: Renaming, run: WorkflowRun) -> tuple[tuple[ScopeState, ...], tuple[Held, ...]]:
    """The scopes, and what a pause holds back: in a sequence that waits for its next node, that may be another one."""
    turns = {around(each.path): each.path for each in run.held if each.kind is HeldKind.ENTER and each.path != ROOT}
    moved: list[ScopeState] = []
    entered: dict[str, str] = {}
    for scope in run.scopes:
        outputs.check_gathered(renaming, scope)
        node = renaming.spot(scope.path).there.node
        turn = turns.get(scope.path) if node.kind == "sequence" else None
        there, child = scopes.moved(renaming, scope, turn)
        moved.append(there)
        if turn is not None and child is not None:
            entered[turn] = child
    held = tuple(
        each.replace(path=entered.get(each.path) or renaming.path(each.path), below=renaming.path(each.below))
        for each in run.held
    )
    return tuple(moved), held


def _steps(renaming: Renaming, run: WorkflowRun, kept: outputs.Kept) -> tuple[StepState, ...]:
    """The steps in their order: those under way, and the outputs that will still be read."""
    found = [
        kept.step(step) if step.status is StepStatus.SUCCEEDED else steps.moved(renaming, step) for step in run.steps
    ]
    there = tuple(step for step in found if step is not None)
    kept.check({step.path for step in there if step.status is StepStatus.SUCCEEDED})
    return there


def _signals(run: WorkflowRun, new: Definition) -> Any:
    for each in run.signals:
        if each.name not in new.signals:
            raise Stays(f"the signal {each.name} has come, and version {new.version} waits for none of that name")
        if each.request_id is None and each.name in new.updates:
            raise Stays(f"the signal {each.name} was accepted, and version {new.version} asks whether it is")
        try:
            new.signals[each.name].check(payloads.decode(each.payload))
        except PayloadRefused as refused:
            raise Stays(f"the signal {each.name} has come, and does not fit version {new.version}: {refused}") from None
    return run.signals
