"""What stands otherwise in one graph than in another, in sentences. Nodes are the same when their ids are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Final, get_args

from actionbus.contracts import payloads
from actionbus.contracts.definitions import Graph
from actionbus.contracts.nodes import Node
from actionbus.contracts.part import Part

_NODES: Final = get_args(get_args(Node)[0])
_OF_NODES: Final = {"id", "kind", "call", "nodes", "branches"}  # told in other words
_OF_GRAPHS: Final = {"name", "version", "root", "actions"}
_SHOWN: Final = 160  # characters of a value in a sentence


@dataclass(frozen=True, slots=True)
class _Spot:
    node: Any
    around: str  # the id of the node around it; empty: the root
    before: str  # the id of the node before it there; empty: it is the first


def differences(old: Graph, new: Graph) -> list[str]:
    """Every difference, in the reading order of the new graph; what is gone comes after what is there."""
    before, after = _spots(old), _spots(new)
    moved = _moved(before, after)
    found: list[str] = []
    for name, spot in after.items():
        what = f"{spot.node.kind} {name}"
        if name not in before:
            found.append(f"{what} is new, {_where(spot)}{_calls(spot.node)}")
            continue
        if name in moved:
            found.append(f"{what} has moved, it is {_where(spot)} now")
        found += [f"{what}: {each}" for each in _changed(before[name].node, spot.node)]
    found += [f"{spot.node.kind} {name} is gone" for name, spot in before.items() if name not in after]
    for name in [each for each in new.actions if each in old.actions]:
        found += [f"action {name}: {each}" for each in _fields(old.actions[name], new.actions[name], set())]
    return found + [f"the workflow: {each}" for each in _fields(old, new, _OF_GRAPHS)]


def _spots(graph: Graph) -> dict[str, _Spot]:
    found: dict[str, _Spot] = {}
    waiting: list[tuple[str, Any]] = [("", graph.root)]
    while waiting:
        around, node = waiting.pop()
        inside = [each for _, each in node.inside()]
        for place, each in enumerate(inside):
            found[each.id] = _Spot(each, around, inside[place - 1].id if place else "")
        waiting.extend((each.id, each) for each in reversed(inside))
    return found


def _moved(before: Mapping[str, _Spot], after: Mapping[str, _Spot]) -> set[str]:
    """The nodes that stand in another one, or in another order among those that stayed."""
    both = [name for name in after if name in before]
    moved = {name for name in both if before[name].around != after[name].around}
    for around in {after[name].around for name in both}:
        old = [name for name in before if name in after and name not in moved and before[name].around == around]
        new = [name for name in both if name not in moved and after[name].around == around]
        stayed = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
        moved |= set(new) - {name for block in stayed for name in new[block.b : block.b + block.size]}
    return moved


def _changed(old: Any, new: Any) -> Iterator[str]:
    if old.kind != new.kind:
        yield f"it is a {new.kind}, before a {old.kind}"
        return
    if new.kind == "step":
        yield from _apart("the action", old.call.action, new.call.action)
        yield from _apart("the input", old.call.input, new.call.input)
    yield from _fields(old, new, _OF_NODES)


def _fields(old: Part, new: Part, others: set[str]) -> Iterator[str]:
    """The fields of two parts of a kind that differ, under the names they have in documents."""
    for name, field in type(new).model_fields.items():
        if name not in others:
            yield from _apart(field.alias or name, _own(getattr(old, name)), _own(getattr(new, name)))


def _apart(what: str, old: Any, new: Any) -> Iterator[str]:
    if old != new:
        yield f"{what} is {_text(new)}, before {_text(old)}"


def _own(value: Any) -> Any:
    """A value as JSON has it; a node inside it, which is told of itself, is its id."""
    if isinstance(value, _NODES):
        return value.id
    if isinstance(value, Part):
        return {
            name: _own(getattr(value, name))
            for name, field in type(value).model_fields.items()
            if name == "kind"
            or field.is_required()
            or getattr(value, name) != field.get_default(call_default_factory=True)
        }
    if isinstance(value, tuple):
        return [_own(each) for each in value]
    return value


def _where(spot: _Spot) -> str:
    inside = f" in {spot.around}" if spot.around else ""
    return f"after {spot.before}{inside}" if spot.before else f"the first{inside}"


def _calls(node: Any) -> str:
    return f", and runs the action {node.call.action}" if node.kind == "step" and node.call.action != node.id else ""


def _text(value: Any) -> str:
    if value in (None, [], {}, ""):
        return "none"
    text = value if isinstance(value, str) else payloads.encode(value).decode()
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
