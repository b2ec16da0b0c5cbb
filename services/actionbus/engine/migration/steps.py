"""Steps that are under way, or are or will be undone: their workers know them by name, and what is out is out."""

from typing import Any

from actionbus.contracts import payloads
from actionbus.contracts.decisions import Fallback
from actionbus.contracts.run import Compensation, StepState, StepStatus
from actionbus.engine.definition import Place
from actionbus.engine.migration import same
from actionbus.engine.migration.renaming import Renaming, Stays


def moved(renaming: Renaming, step: StepState) -> StepState:
    """A step that is under way or being undone, under the new definition; raises Stays."""
    path, here, there = renaming.spot(step.path)
    if there.node.kind == "child":  # a run that has to end, or is undone, before the undoing goes on
        same.child(renaming, step.path)
        _undo(renaming, step)
    elif step.status is StepStatus.COMPENSATING:
        same.name(step.path, path)
        same.action(renaming, here.plan.action.id, there.plan.action.id, step.path)
        _undo(renaming, step)
    elif step.attempt or step.queued:
        _attempt(renaming, step, path, (here, there))
    elif step.status is StepStatus.PENDING:  # it was never sent, so it begins as the new version says
        step = step.replace(action=there.plan.action.id)
    return step.replace(path=path, resolution=_resolution(renaming, step, here, there))


def undo(renaming: Renaming, registered: Compensation) -> Compensation:
    """What undoes a step that is done or under way: it stays as it was registered. Raises Stays."""
    path, here, there = renaming.spot(registered.step)
    same.name(registered.step, path)
    if there.node.kind == "step":
        same.action(renaming, here.plan.action.id, there.plan.action.id, registered.step)
    same.action(renaming, registered.action, registered.action, registered.step)
    return registered


def _attempt(renaming: Renaming, step: StepState, path: str, nodes: tuple[Place, Place]) -> None:
    """Whether a step with its input is the same; one that waits for its first turn was never sent, and has no undo."""
    here, there = nodes
    version = renaming.new.version
    if step.attempt:
        same.name(step.path, path)
    same.action(renaming, step.action, there.plan.action.id, step.path)
    same.place(renaming, step.action, step.path)
    if renaming.template(here.node.call.input) != there.node.call.input:
        raise Stays(f"{step.path} is under way with another input than version {version} gives it")
    if step.attempt and same.call(renaming, here.node.undo) != there.node.undo:
        raise Stays(f"{step.path} is under way, and is undone in another way in version {version}")


def _undo(renaming: Renaming, step: StepState) -> None:
    if step.action:  # else it waits for a run to end, and nothing is sent
        same.action(renaming, step.action, step.action, step.path)
        same.place(renaming, step.action, step.path)


def _resolution(renaming: Renaming, step: StepState, here: Any, there: Any) -> bytes | None:
    """What follows once the step is undone: a rule of its own, or what a node around it asked for."""
    then = payloads.decode(step.resolution) if step.resolution is not None else None
    if not then:
        return step.resolution
    number = then.get("rule")
    if number is None:
        return payloads.encode({**then, "path": renaming.path(then["path"]), "below": renaming.path(then["below"])})
    if [_then(renaming, here.node.rules[number - 1].then)] != [
        each.then for each in there.node.rules[number - 1 : number]
    ]:
        raise Stays(f"{step.path} goes on by its rule {number}, which is another one in version {renaming.new.version}")
    return step.resolution


def _then(renaming: Renaming, then: Any) -> Any:
    return Fallback(call=same.call(renaming, then.call) or then.call) if isinstance(then, Fallback) else then
