"""The first case whose condition holds. Nothing is remembered of it: what was chosen is under way, and hands on."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from actionbus.contracts import payloads
from actionbus.contracts.definitions import Graph
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.events import EntryKind
from actionbus.contracts.nodes import ChooseNode
from actionbus.contracts.payloads import Json
from actionbus.engine import failure
from actionbus.engine.shapes.shape import Shape
from actionbus.engine.template import Template

if TYPE_CHECKING:  # as in shape.py
    from actionbus.engine.definition import Place
    from actionbus.engine.draft import Draft


class ChooseShape(Shape):
    """See ``Shape``."""

    hands_on = True

    def reads(self, node: ChooseNode) -> Iterator[Json]:
        """The conditions."""
        for case in node.cases:
            yield case.when

    def plan(self, node: ChooseNode, graph: Graph) -> tuple[tuple[Template, str], ...]:
        """Each condition with the id of what follows."""
        del graph
        return tuple((Template.of(case.when), case.then.id) for case in node.cases)

    def enter(self, draft: "Draft", place: "Place", path: str) -> None:
        """Begin what is chosen; where nothing is, the node is done."""
        try:
            chosen = self._chosen(draft, place, path)
        except PayloadRefused as refused:
            draft.refuse(path, failure.CONDITION_REFUSED, refused)
            return
        draft.note(EntryKind.BRANCH_CHOSEN, step=path, data=payloads.encode({"chosen": chosen}))
        if chosen is None:
            draft.finish(path)
        else:
            draft.enter(f"{path}.{chosen}")

    def finished(self, draft: "Draft", place: "Place", path: str, child: str, output: bytes | None) -> None:
        """What was chosen is done."""
        del place, child
        draft.finish(path, output)

    def _chosen(self, draft: "Draft", place: "Place", path: str) -> str | None:
        for condition, node_id in place.plan:
            if draft.holds(condition, path):
                return node_id
        otherwise = place.node.otherwise
        return None if otherwise is None else otherwise.id
