"""What has to be the same where something is under way: others know it by that, or it was promised so."""

from actionbus.contracts.decisions import Call
from actionbus.contracts.limiting import LimitPolicy
from actionbus.engine.migration.renaming import Renaming, Stays


def name(before: str, after: str, who: str = "its workers know it by its name, and so does what undoes it") -> None:
    """Raise Stays when a path is another one; ``who`` knows the old one."""
    if before != after:
        raise Stays(f"{before} cannot become {after}: {who}")


def action(renaming: Renaming, before: str, after: str, path: str) -> None:
    """Raise Stays unless a step uses the action it used, and that works as it did."""
    version = renaming.new.version
    if before != after:
        raise Stays(f"{path} was sent to the action {before}, and version {version} has {after} there")
    old, new = renaming.old.action(before), renaming.new.graph.actions.get(after)
    if new is None:
        raise Stays(f"{path} needs the action {before}, which version {version} does not have")
    if (old.effect, old.store) != (new.effect, new.store):
        raise Stays(f"{path} needs the action {before} as it was: in version {version} its effect is another one")


def place(renaming: Renaming, used: str, path: str) -> None:
    """Raise Stays unless the action of a step that may have a place under its limit counts it in the same way.

    A place under a limit that is not there would never get its turn, and without one more would go out than it says.
    """
    if not counts_alike(renaming.old.action(used).limit, renaming.new.action(used).limit):
        version = renaming.new.version
        raise Stays(f"{path} needs the limit of the action {used} as it was: in version {version} it counts otherwise")


def counts_alike(old: LimitPolicy | None, new: LimitPolicy | None) -> bool:
    """Whether two limits count in the same lines; how many they let go may differ."""
    return (old and (old.key,)) == (new and (new.key,))


def call(renaming: Renaming, given: Call | None) -> Call | None:
    """A call of the old definition, as the new one would say it."""
    return given and Call(action=given.action, input=renaming.template(given.input))


def child(renaming: Renaming, path: str) -> None:
    """Raise Stays unless a node that started a run waits for it as before: that run goes on, and tells this node."""
    after, here, there = renaming.spot(path)
    version = renaming.new.version
    name(path, after, "the run that it started knows it by its name")
    if here.node.workflow != there.node.workflow:
        raise Stays(
            f"{path} waits for a run of {here.node.workflow}, and in version {version} for one of {there.node.workflow}"
        )
    if here.node.wait != there.node.wait:
        raise Stays(f"{path} waits for the end or the beginning of a run, and in version {version} for the other one")
    if call(renaming, here.node.undo) != there.node.undo:
        raise Stays(f"{path} is under way, and is undone in another way in version {version}")
