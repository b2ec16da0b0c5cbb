"""Nodes one after the other. The cursor counts the finished ones, so a long sequence costs no more than a short one."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from actionbus.contracts.definitions import EmitNode, Graph, SequenceNode, StepNode
from actionbus.engine.shapes.shape import Shape

if TYPE_CHECKING:  # as in shape.py
    from actionbus.engine.definition import Place
    from actionbus.engine.draft import Draft


class SequenceShape(Shape):
    """See ``Shape``."""

    def inside(self, node: SequenceNode, graph: Graph) -> Iterator[tuple[str, StepNode | EmitNode | SequenceNode]]:
        """Its nodes, each under its id."""
        del graph
        for each in node.nodes:
            yield f".{each.id}", each

    def plan(self, node: SequenceNode, graph: Graph) -> tuple[str, ...]:
        """The ids of its nodes, in order."""
        del graph
        return tuple(each.id for each in node.nodes)

    def enter(self, draft: "Draft", place: "Place", path: str) -> None:
        """Begin with the first node; an empty sequence is done at once."""
        self._go_on(draft, place, path, 0)

    def finished(self, draft: "Draft", place: "Place", path: str, child: str, output: bytes | None) -> None:
        """Go on with the next node."""
        del child, output
        self._go_on(draft, place, path, draft.scopes[path].cursor + 1)

    def _go_on(self, draft: "Draft", place: "Place", path: str, cursor: int) -> None:
        ids: tuple[str, ...] = place.plan
        if cursor == len(ids):
            draft.scopes.pop(path, None)
            draft.finish(path)
        else:
            draft.open(path, cursor)
            draft.enter(f"{path}.{ids[cursor]}" if path else ids[cursor])
