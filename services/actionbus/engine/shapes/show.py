"""A value that whoever looks at the run can read from here on. It is done as soon as it is entered."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from actionbus.contracts import payloads, searching
from actionbus.contracts.definitions import Graph
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.events import EntryKind
from actionbus.contracts.nodes import ShowNode
from actionbus.contracts.payloads import Json
from actionbus.engine import failure
from actionbus.engine.shapes.shape import Shape
from actionbus.engine.template import Template, sized

if TYPE_CHECKING:  # as in shape.py
    from actionbus.engine.definition import Place
    from actionbus.engine.draft import Draft


class ShowShape(Shape):
    """See ``Shape``."""

    def reads(self, node: ShowNode) -> Iterator[Json]:
        """The value."""
        yield node.value

    def plan(self, node: ShowNode, graph: Graph) -> Template:
        """Look its template through."""
        del graph
        return Template.of(node.value)

    def enter(self, draft: "Draft", place: "Place", path: str) -> None:
        """Show the value."""
        name = place.node.name
        try:
            value = draft.fill(place.plan, path)
            data = sized(payloads.encode(value), draft.definition.limits)
            if name in draft.definition.graph.searchable:
                found = payloads.encode({name: searching.fitting(name, value)})
                draft.note(EntryKind.ATTRIBUTES_SET, step=path, data=found)
        except PayloadRefused as refused:
            draft.refuse(path, failure.INPUT_REFUSED, refused)
            return
        draft.views = {**draft.views, name: data}
        draft.note(EntryKind.VIEW_CHANGED, step=path, data=payloads.encode({"name": name, "value": value}))
        draft.finish(path)
