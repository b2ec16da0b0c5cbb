"""What a template may read where it stands: which roots, which nodes before it, what the nodes around it give."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from actionbus.contracts import expressions, payloads, templates
from actionbus.contracts.definitions import Graph
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.nodes import Node, ParallelNode, SequenceNode
from actionbus.contracts.payloads import Json

_SILENT: Final = frozenset({"emit", "raise", "show", "sleep"})  # kinds without an output
_ITSELF: Final = frozenset({"repeat", "try"})  # kinds that read in their conditions what they give
_GIVEN: Final = {
    "map": ("item", "index"),
    "repeat": ("turn", "last"),
    "try": ("error", "attempt"),
    "person": ("title", "assignee"),
}
PLAIN: Final = (templates.INPUT, templates.STEPS, templates.SCOPE)
UNDO: Final = (*PLAIN, templates.MADE)
FALLBACK: Final = (*PLAIN, templates.ERROR)
SIGNALLED: Final = (*PLAIN, templates.PAYLOAD)
RULE: Final = (*FALLBACK, templates.ATTEMPT, templates.ELAPSED)


@dataclass(frozen=True, slots=True)
class Spot:
    """A node with its static path, those of the nodes around it (outermost first, itself last), and its place there."""

    node: Node
    line: tuple[str, ...]
    place: int


class Reading:
    """The nodes of one graph, and what each may read."""

    def __init__(self, graph: Graph) -> None:
        self._spots: dict[str, Spot] = {"": Spot(graph.root, ("",), 0)}
        self._by_id: dict[str, Spot] = {}
        waiting: list[tuple[str, Node]] = [("", graph.root)]
        while waiting:
            path, node = waiting.pop()
            for place, (suffix, each) in enumerate(node.inside()):
                inner = f"{path}{suffix}".lstrip(".")
                spot = Spot(each, (*self._spots[path].line, inner), place)
                self._spots[inner] = self._by_id[each.id] = spot
                waiting.append((inner, each))

    def mistakes(self, where: str, template: Json, reader: str, roots: tuple[str, ...] = PLAIN) -> Iterator[str]:
        """What is wrong with a template of the node at a path; ``where`` names it in messages."""
        malformed = [*_malformed(template)]
        if malformed:
            yield from (f"{where}: {each}" for each in malformed)
            return
        try:
            payloads.encode(template)
        except PayloadRefused as refused:
            yield f"{where}: {refused}"
        for path in templates.references(template):
            mistake = self._reference(path, reader, roots)
            if mistake is not None:
                yield f"{where}: {mistake}"

    def _reference(self, path: templates.Path, reader: str, roots: tuple[str, ...]) -> str | None:
        text = ".".join(str(part) for part in path)
        root, *rest = path
        if root not in roots:
            return f"nothing is known here by the name {root} (in {text}): use {', '.join(roots)}"
        if root not in (templates.STEPS, templates.SCOPE):
            return None
        if not rest:
            return f"{text} names no step"
        spot = self._by_id.get(str(rest[0]))
        if spot is None:
            return f"{text} reads the step {rest[0]}, which is not there"
        if root == templates.SCOPE:
            why = self._scope(spot, rest[1:], reader)
        else:
            why = self._step(spot, reader)
            if why is not None and templates.MADE in roots:
                why += "; an undo reads its own step as made"
        return None if why is None else f"{text} {why}"

    def _step(self, spot: Spot, reader: str) -> str | None:
        """Why a node's output cannot be read at a path, or None when it can."""
        if spot.node.kind in _SILENT:
            return f"reads {spot.node.id}, but a node of the kind {spot.node.kind} gives no output"
        line = self._spots[reader].line
        shared = 0
        while shared < min(len(line), len(spot.line)) and line[shared] == spot.line[shared]:
            shared += 1
        around = self._spots[line[shared - 1]]
        ends_there = shared == len(line)  # what is around the source reads it as its own output
        if shared == len(spot.line) or not isinstance(around.node, SequenceNode):
            return "reads a step that is not finished by then: only earlier steps can be read"
        if not ends_there and self._spots[spot.line[shared]].place >= self._spots[line[shared]].place:
            return "reads a step that is not finished by then: only earlier steps can be read"
        for path in spot.line[shared:-1]:
            node = self._spots[path].node
            if not isinstance(node, SequenceNode | ParallelNode) or getattr(node, "enough", None) is not None:
                return (
                    f"reads a step inside {node.id}, which may pass it by or repeat it: "
                    f"let the {node.kind} give the value, and read steps.{node.id}"
                )
        return None

    def _scope(self, spot: Spot, parts: list[str | int], reader: str) -> str | None:
        known = _GIVEN.get(spot.node.kind)
        line = self._spots[reader].line
        inside = spot.line[-1] in (line if spot.node.kind in _ITSELF else line[:-1])
        if known is None or not inside:
            return f"reads what {spot.node.id} gives to the nodes inside it, and this is not inside"
        if not parts or parts[0] not in known:
            return f"reads what {spot.node.id} does not give: a {spot.node.kind} gives {' and '.join(known)}"
        return None


def _almost(value: dict[str, Json]) -> str | None:
    """Why an object that looks like an expression or a reference would be taken as it stands, which nobody means."""
    if templates.CEL in value:
        key, beside = templates.CEL, f"only {templates.WITH}"
    elif isinstance(value.get(templates.REF), list):
        key, beside = templates.REF, "nothing"
    else:
        return None
    others = ", ".join(sorted(value.keys() - {key, templates.WITH} if key == templates.CEL else value.keys() - {key}))
    return f"beside {key} stands {beside}, not {others}; what is data goes into a {templates.LITERAL}"


def _malformed(template: Json) -> Iterator[str]:
    waiting = [template]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict) and len(value) == 1 and templates.REF in value:
            path = value[templates.REF]
            parts = path if isinstance(path, list) else []
            if not parts or not isinstance(parts[0], str) or not all(isinstance(part, str | int) for part in parts):
                yield f"{payloads.encode(value).decode()} is no reference: its value has to be a list of keys"
        elif templates.is_expression(value):
            text, names = value[templates.CEL], value.get(templates.WITH, {})
            if not isinstance(text, str) or not isinstance(names, dict):
                yield f"{templates.CEL} takes a text, and {templates.WITH} an object of templates"
                continue
            yield from expressions.mistakes(text, names.keys())
            waiting.extend(names.values())
        elif isinstance(value, dict) and (strange := _almost(value)) is not None:
            yield strange
        elif isinstance(value, dict) and not (len(value) == 1 and templates.LITERAL in value):
            waiting.extend(value.values())
