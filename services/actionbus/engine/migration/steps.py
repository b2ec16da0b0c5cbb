"""Steps that are under way, or are or will be undone: their workers know them by name, and what is out is out."""

from typing import Any

from actionbus.contracts import payloads
from actionbus.contracts.decisions import Call, Fallback
from actionbus.contracts.run import Compensation, StepState, StepStatus
from actionbus.engine.definition import Place
from actionbus.engine.migration.renaming import Renaming, Stays


def moved(renaming: Renaming, step: StepState) -> StepState:
    """A step that is under way or being undone, under the new definition; raises Stays."""
    path, here, there = renaming.spot(step.path)
    plan, version = there.plan, renaming.new.version
    if there.node.kind != "step":
        _same_node(renaming, step.path, here, there)
    elif step.status is StepStatus.COMPENSATING:
        _same_name(step.path, path)
        _same_action(renaming, here.plan.action.id, plan.action.id, step.path)
        _same_action(renaming, step.action, step.action, step.path)
    elif step.attempt:
        _same_name(step.path, path)
        _same_action(renaming, step.action, plan.action.id, step.path)
        if renaming.template(here.node.call.input) != there.node.call.input:
            raise Stays(f"{step.path} is under way with another input than version {version} gives it")
        if _undo(renaming, here.node.undo) != there.node.undo:
            raise Stays(f"{step.path} is under way, and is undone in another way in version {version}")
    elif step.status is StepStatus.PENDING:  # it was never sent, so it begins as the new version says
        step = step.replace(action=plan.action.id)
    return step.replace(path=path, resolution=_resolution(renaming, step, here, there))


def undo(renaming: Renaming, registered: Compensation) -> Compensation:
    """What undoes a step that is done or under way: it stays as it was registered. Raises Stays."""
    path, here, there = renaming.spot(registered.step)
    if there.node.kind != "step":
        _same_node(renaming, registered.step, here, there)
        return registered
    _same_name(registered.step, path)
    _same_action(renaming, here.plan.action.id, there.plan.action.id, registered.step)
    _same_action(renaming, registered.action, registered.action, registered.step)
    return registered


def _same_name(before: str, after: str) -> None:
    if before != after:
        raise Stays(f"{before} cannot become {after}: its workers know it by its name, and so does what undoes it")


def _same_node(renaming: Renaming, path: str, here: Place, there: Place) -> None:
    """Whether a node that waits as steps do, and is none, is the very same one."""
    if here.node != there.node:
        raise Stays(f"{path} is under way, and is another one in version {renaming.new.version}")


def _same_action(renaming: Renaming, before: str, after: str, path: str) -> None:
    """Whether a step uses the action it used, and that works as it did."""
    version = renaming.new.version
    if before != after:
        raise Stays(f"{path} was sent to the action {before}, and version {version} has {after} there")
    old, new = renaming.old.action(before), renaming.new.graph.actions.get(after)
    if new is None:
        raise Stays(f"{path} needs the action {before}, which version {version} does not have")
    if (old.effect, old.store) != (new.effect, new.store):
        raise Stays(f"{path} needs the action {before} as it was: in version {version} its effect is another one")


def _undo(renaming: Renaming, call: Call | None) -> Call | None:
    return call and Call(action=call.action, input=renaming.template(call.input))


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
    return Fallback(call=_undo(renaming, then.call) or then.call) if isinstance(then, Fallback) else then
