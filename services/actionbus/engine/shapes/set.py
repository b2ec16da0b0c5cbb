"""A value that is made of others: done as soon as it begins."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from actionbus.contracts.definitions import Graph
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.nodes import SetNode
from actionbus.contracts.payloads import Json
from actionbus.engine import failure
from actionbus.engine.shapes.shape import Shape
from actionbus.engine.template import Template

if TYPE_CHECKING:  # as in shape.py
    from actionbus.engine.definition import Place
    from actionbus.engine.draft import Draft


class SetShape(Shape):
    """See ``Shape``."""

    def reads(self, node: SetNode) -> Iterator[Json]:
        """The value."""
        yield node.value

    def plan(self, node: SetNode, graph: Graph) -> Template:
        """The value's template."""
        del graph
        return Template.of(node.value)

    def enter(self, draft: "Draft", place: "Place", path: str) -> None:
        """Make the value."""
        try:
            value = draft.fill_bytes(place.plan, path)
        except PayloadRefused as refused:
            draft.refuse(path, failure.INPUT_REFUSED, refused)
        else:
            draft.finish(path, value)
