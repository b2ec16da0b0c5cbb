"""A graph as a picture, in the languages of Mermaid and Graphviz. Nothing of a run is shown."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from actionbus.contracts import templates
from actionbus.contracts.definitions import Graph
from actionbus.contracts.nodes import (
    ChildNode,
    ChooseNode,
    MapNode,
    Node,
    ParallelNode,
    PersonNode,
    RepeatNode,
    SequenceNode,
    StepNode,
    TryNode,
    WaitNode,
)
from actionbus.contracts.payloads import Json

BEGIN: Final = "!begin"  # no path of a node has such a name
END: Final = "!end"
_LONGEST: Final = 40  # characters of a label on an arrow


@dataclass(slots=True)
class Picture:
    """Boxes by their name (the node's path), each inside a frame or none; frames; arrows with a label."""

    boxes: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])  # label, frame
    frames: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])  # title, frame around
    arrows: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])

    def join(self, sources: list[tuple[str, str]], target: str) -> None:
        """Arrows from where the way comes, each with its label."""
        self.arrows += [(source, target, label) for source, label in sources]


def mermaid(graph: Graph) -> str:
    """A flow chart for Mermaid."""
    picture = draw(graph)
    names = {name: f"n{number}" for number, name in enumerate([*picture.boxes, *picture.frames])}
    lines = ["flowchart TD"]
    lines += _mermaid_frame(picture, names, "", "  ")
    for source, target, label in picture.arrows:
        said = f'|"{_mermaid_text(label)}"|' if label else ""
        lines.append(f"  {names[source]} -->{said} {names[target]}")
    return "\n".join(lines) + "\n"


def dot(graph: Graph) -> str:
    """A directed graph for Graphviz."""
    picture = draw(graph)
    lines = [f"digraph {_dot_text(graph.name)} {{", "  node [shape=box, style=rounded];"]
    lines += _dot_frame(picture, "", "  ")
    for source, target, label in picture.arrows:
        said = f" [label={_dot_text(label)}]" if label else ""
        lines.append(f"  {_dot_text(source)} -> {_dot_text(target)}{said};")
    return "\n".join([*lines, "}"]) + "\n"


def draw(graph: Graph) -> Picture:
    """What there is to see of a graph."""
    picture = Picture()
    picture.boxes[BEGIN] = (f"{graph.name} {graph.version}", "")
    ways = _sequence(picture, "", graph.root, "", [(BEGIN, "")])
    picture.boxes[END] = ("completed", "")
    picture.join(ways, END)
    return picture


def _node(picture: Picture, path: str, node: Node, frame: str, ways: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Draw a node that is reached by these ways; the ways that lead on."""
    match node:
        case SequenceNode():
            return _sequence(picture, path, node, frame, ways)
        case MapNode() | RepeatNode() | TryNode():
            picture.frames[path] = (_title(node), frame)
            return _framed(picture, path, node, ways)
        case _:
            picture.boxes[path] = (_title(node), frame)
            picture.join(ways, path)
            return _branches(picture, path, node, frame)


def _sequence(
    picture: Picture, path: str, node: SequenceNode, frame: str, ways: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    for suffix, each in node.inside():
        ways = _node(picture, f"{path}{suffix}".lstrip("."), each, frame, ways)
    return ways


def _framed(
    picture: Picture, path: str, node: MapNode | RepeatNode | TryNode, ways: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    body, *others = ((f"{path}{suffix}", each) for suffix, each in node.inside())
    after = _node(picture, *body, path, ways)
    if not isinstance(node, TryNode):
        return after
    last = len(others) - 1 if node.always is not None else None
    ends = after
    for number, (inner, each) in enumerate(others):
        if number == last:
            return _node(picture, inner, each, path, ends)
        ends = [*ends, *_node(picture, inner, each, path, [(source, "failed") for source, _ in after])]
    return ends


def _branches(picture: Picture, path: str, node: Node, frame: str) -> list[tuple[str, str]]:
    inside = [(f"{path}{suffix}", each) for suffix, each in node.inside()]
    match node:
        case ChooseNode():
            labels = [*(_condition(case.when) for case in node.cases), "otherwise"]
            ends: list[tuple[str, str]] = [] if node.otherwise is not None else [(path, "otherwise")]
            for label, (inner, each) in zip(labels, inside, strict=False):
                ends += _node(picture, inner, each, frame, [(path, label)])
            return ends
        case ParallelNode():
            return [end for inner, each in inside for end in _node(picture, inner, each, frame, [(path, "")])]
        case WaitNode() | PersonNode() if node.on_timeout is not None:
            return [(path, ""), *_node(picture, *inside[0], frame, [(path, "too late")])]
        case _:
            return [(path, "")]


def _title(node: Node) -> str:
    match node:
        case StepNode():
            return node.id if node.id == node.call.action else f"{node.id}: {node.call.action}"
        case ChildNode():
            return node.id if node.id == node.workflow else f"{node.id}: {node.workflow}"
        case PersonNode():
            return f"{node.id}: a person"
        case WaitNode():
            return f"{node.id}: wait for {node.signal}"
        case ParallelNode(enough=int(enough)):
            return f"{node.id}: {enough} of {len(node.branches)}"
        case _:
            return f"{node.id}: {node.kind}" if node.id != node.kind else node.id


def _condition(when: Json) -> str:
    text = str(when[templates.CEL]) if templates.is_expression(when) else "condition"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _inside(picture: Picture, frame: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    boxes = [(name, label) for name, (label, around) in picture.boxes.items() if around == frame]
    frames = [(name, title) for name, (title, around) in picture.frames.items() if around == frame]
    return boxes, frames


def _mermaid_frame(picture: Picture, names: dict[str, str], frame: str, indent: str) -> Iterator[str]:
    boxes, frames = _inside(picture, frame)
    for name, label in boxes:
        yield f'{indent}{names[name]}["{_mermaid_text(label)}"]'
    for name, title in frames:
        yield f'{indent}subgraph {names[name]}["{_mermaid_text(title)}"]'
        yield from _mermaid_frame(picture, names, name, f"{indent}  ")
        yield f"{indent}end"


def _dot_frame(picture: Picture, frame: str, indent: str) -> Iterator[str]:
    boxes, frames = _inside(picture, frame)
    for name, label in boxes:
        yield f"{indent}{_dot_text(name)} [label={_dot_text(label)}];"
    for name, title in frames:
        yield f"{indent}subgraph {_dot_text(f'cluster_{name}')} {{"
        yield f"{indent}  label={_dot_text(title)};"
        yield from _dot_frame(picture, name, f"{indent}  ")
        yield f"{indent}}}"


def _mermaid_text(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")


def _dot_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
