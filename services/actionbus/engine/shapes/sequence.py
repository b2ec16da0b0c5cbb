"""Nodes one after the other. The cursor counts the finished ones, so a long sequence costs no more than a short one."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actionbus.contracts.definitions import Graph
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.nodes import SequenceNode
from actionbus.contracts.payloads import Json
from actionbus.engine import failure
from actionbus.engine.shapes.shape import Shape
from actionbus.engine.template import Template

if TYPE_CHECKING:  # as in shape.py
    from actionbus.engine.definition import Place
    from actionbus.engine.draft import Draft


@dataclass(frozen=True, slots=True, kw_only=True)
class SequencePlan:
    """The ids of its nodes, in order, and the template of its output; None where that is null."""

    ids: tuple[str, ...]
    output: Template | None


class SequenceShape(Shape):
    """See ``Shape``."""

    def reads(self, node: SequenceNode) -> Iterator[Json]:
        """Its output is made of those of its nodes."""
        yield node.output

    def plan(self, node: SequenceNode, graph: Graph) -> SequencePlan:
        """See ``SequencePlan``."""
        del graph
        return SequencePlan(
            ids=tuple(each.id for each in node.nodes),
            output=Template.maybe(node.output),
        )

    def enter(self, draft: "Draft", place: "Place", path: str) -> None:
        """Begin with the first node; an empty sequence is done at once."""
        self._go_on(draft, place, path, 0)

    def finished(self, draft: "Draft", place: "Place", path: str, child: str, output: bytes | None) -> None:
        """Go on with the next node."""
        del child, output
        self._go_on(draft, place, path, draft.scopes[path].cursor + 1)

    def _go_on(self, draft: "Draft", place: "Place", path: str, cursor: int) -> None:
        plan: SequencePlan = place.plan
        if cursor < len(plan.ids):
            draft.open(path, cursor)
            draft.enter(f"{path}.{plan.ids[cursor]}" if path else plan.ids[cursor])
            return
        draft.close(path)
        try:
            output = None if plan.output is None else draft.fill_bytes(plan.output, path)
        except PayloadRefused as refused:
            draft.refuse(path, failure.OUTPUT_REFUSED, refused)
        else:
            draft.finish(path, output)
