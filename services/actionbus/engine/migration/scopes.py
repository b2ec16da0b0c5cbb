"""What a node that holds others remembers, read under another definition: it must mean the same there."""

from collections.abc import Mapping
from typing import Any, Final

from actionbus.contracts import payloads
from actionbus.contracts.decisions import ContinueWith
from actionbus.contracts.nodes import Handle
from actionbus.contracts.run import ScopeState
from actionbus.engine import gathering
from actionbus.engine.definition import Place
from actionbus.engine.migration import same
from actionbus.engine.migration.renaming import Renaming, Stays

_FREE: Final = ("map", "sleep")  # kinds whose scope means the same whatever else their node says


def moved(renaming: Renaming, scope: ScopeState, entering: str | None) -> tuple[ScopeState, str | None]:
    """A scope as the new definition reads it; of a sequence also the path of the node that is entered next.

    ``entering``: the path of the node of a sequence whose turn has come and that was held back. Raises Stays.
    """
    path, here, there = renaming.spot(scope.path)
    match there.node.kind:
        case "sequence":
            cursor = _sequence(renaming, here, there, scope, begun=entering is None)
            child = f"{path}.{there.plan.ids[cursor]}".lstrip(".")
            return scope.replace(path=path, cursor=cursor), None if entering is None else child
        case "parallel":
            scope = _parallel(renaming, here, there, scope)
        case "repeat":
            limit = there.node.limit
            if limit is not None and scope.cursor >= limit:
                raise Stays(
                    f"{scope.path} is in turn {scope.cursor + 1}, and version {renaming.new.version} ends it at {limit}"
                )
        case "wait":
            _signal(renaming, here, there, scope)
        case "person":
            _person(renaming, here, there, scope)
        case "child":
            same.child(renaming, scope.path)
        case "try":
            _try(renaming, here, there, scope)
        case kind if kind not in _FREE and here.node != there.node:
            raise Stays(f"{scope.path} is under way, and is another {kind} in version {renaming.new.version}")
        case _:
            pass
    return scope.replace(path=path), None


def _sequence(renaming: Renaming, here: Place, there: Place, scope: ScopeState, *, begun: bool) -> int:
    """The cursor: what is done in the old order has to be what comes before it in the new one."""
    version, current = renaming.new.version, here.plan.ids[scope.cursor]
    done = {renaming.name(each) for each in here.plan.ids[: scope.cursor]}
    ids = there.plan.ids
    if begun:
        renaming.spot(f"{scope.path}.{current}".lstrip("."))
        cursor = ids.index(renaming.name(current))
    else:  # nothing of it is under way, so that also what is new may come first
        cursor = next((place for place, each in enumerate(ids) if each not in done), len(ids))
        if cursor == len(ids):
            raise Stays(f"version {version} has nothing left to do where {current} would come next")
    for each in ids[:cursor]:
        if each not in done:
            raise Stays(f"{each} comes before {current} in version {version}, and was not carried out")
    for each in ids[cursor:]:
        if each in done:
            raise Stays(f"{each} is done, and comes after {current} in version {version}")
    return cursor


def _parallel(renaming: Renaming, here: Place, there: Place, scope: ScopeState) -> ScopeState:
    """Outputs are gathered by the places of the branches, and counted against how many are enough."""
    before = [renaming.name(each.id) for each in here.node.branches]
    after = [each.id for each in there.node.branches]
    if sorted(before) != sorted(after) or here.node.enough != there.node.enough:
        raise Stays(f"{scope.path} is under way, and has other branches in version {renaming.new.version}")
    lines = (scope.gathered or b"").splitlines()
    places = [after.index(before[int(line.partition(b" ")[0])]) for line in lines]
    gathered = b"".join(
        b"%d %s\n" % (place, line.partition(b" ")[2]) for place, line in zip(places, lines, strict=True)
    )
    lost = [renaming.path(each) for each in payloads.decode(scope.data or b"[]")]
    return scope.replace(gathered=gathered, data=payloads.encode(lost))


def _signal(renaming: Renaming, here: Place, there: Place, scope: ScopeState) -> None:
    before, after = here.node.signal, there.node.signal
    if before != after:
        raise Stays(f"{scope.path} waits for the signal {before}, and in version {renaming.new.version} for {after}")


def _person(renaming: Renaming, here: Place, there: Place, scope: ScopeState) -> None:
    """What somebody was asked for stays the same, and so do the times, which the scope counts by their places."""
    version = renaming.new.version
    _signal(renaming, here, there, scope)
    before, after = here.node, there.node
    if (renaming.template(before.title), before.payload_schema) != (after.title, after.payload_schema):
        raise Stays(f"{scope.path} asks somebody for something, and for something else in version {version}")
    if here.plan.moments != there.plan.moments:
        raise Stays(f"{scope.path} reminds or ends at other times in version {version}")


def _try(renaming: Renaming, here: Place, there: Place, scope: ScopeState) -> None:
    """A rule that has decided has to be the same one; so has what always follows once that is under way."""
    memory: Mapping[str, Any] = payloads.decode(scope.data or b"{}")
    version, number = renaming.new.version, memory["rule"]
    if number and _rule(renaming, here.node.rules[number - 1]) not in _numbered(there, number):
        raise Stays(f"{scope.path} goes on by its rule {number}, which is another one in version {version}")
    if memory["over"] and renaming.name(here.node.always.id) != (there.node.always and there.node.always.id):
        raise Stays(f"{scope.path} does what always follows, which is something else in version {version}")


def _numbered(there: Place, number: int) -> list[Any]:
    return [_told(rule, rule.then) for rule in there.node.rules[number - 1 : number]]


def _rule(renaming: Renaming, rule: Any) -> Any:
    told = _told(rule, rule.then)
    return (told[0], told[1], renaming.name(told[2])) if isinstance(rule.then, Handle) else told


def _told(rule: Any, then: Any) -> tuple[Any, ...]:
    """What is still to be done by a rule that has decided."""
    what = then.node.id if isinstance(then, Handle) else then.value if isinstance(then, ContinueWith) else None
    return rule.undo, then.kind, what


def done(scopes: tuple[ScopeState, ...], places: Mapping[str, Place]) -> list[str]:
    """The run's paths of the nodes that are finished while what is around them is under way, under one definition.

    ``places``: the node of each scope, by its path.
    """
    found: list[str] = []
    for scope in scopes:
        node = places[scope.path].node
        if node.kind == "sequence":
            found += [f"{scope.path}.{each.id}".lstrip(".") for each in node.nodes[: scope.cursor]]
        elif node.kind == "parallel":
            found += [f"{scope.path}.{node.branches[place].id}" for place in gathering.places(scope.gathered)]
    return found
