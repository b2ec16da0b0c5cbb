"""Time that passes, by the broker's clock."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actionbus.contracts import moments, payloads
from actionbus.contracts.definitions import Graph
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.events import EntryKind
from actionbus.contracts.nodes import SleepNode
from actionbus.contracts.payloads import Json
from actionbus.contracts.run import TimerKind
from actionbus.engine import failure
from actionbus.engine.shapes.shape import Shape
from actionbus.engine.template import Template

if TYPE_CHECKING:  # as in shape.py
    from actionbus.engine.definition import Place
    from actionbus.engine.draft import Draft


@dataclass(frozen=True, slots=True, kw_only=True)
class SleepPlan:
    """How long, or until when; one of them."""

    for_ms: Template | None
    until: Template | None


class SleepShape(Shape):
    """See ``Shape``."""

    def reads(self, node: SleepNode) -> Iterator[Json]:
        """How long."""
        yield node.for_ms
        yield node.until

    def plan(self, node: SleepNode, graph: Graph) -> SleepPlan:
        """See ``SleepPlan``."""
        del graph
        return SleepPlan(
            for_ms=Template.maybe(node.for_ms),
            until=Template.maybe(node.until),
        )

    def enter(self, draft: "Draft", place: "Place", path: str) -> None:
        """Wait, unless the time is past."""
        try:
            due = self._due(draft, place.plan, path)
        except PayloadRefused as refused:
            draft.refuse(path, failure.INPUT_REFUSED, refused)
            return
        if due <= draft.now:
            draft.finish(path)
            return
        draft.open(path)
        draft.note(EntryKind.WAIT_BEGAN, step=path, data=payloads.encode({"until": due}))
        draft.arm(TimerKind.WAKE, due, path)

    def woke(self, draft: "Draft", place: "Place", path: str) -> None:
        """The time is over."""
        del place
        draft.close(path)
        draft.note(EntryKind.WAIT_ENDED, step=path, reason="its time is over")
        draft.finish(path)

    def _due(self, draft: "Draft", plan: SleepPlan, path: str) -> int:
        if plan.until is not None:
            return moments.moment(draft.fill(plan.until, path))
        value = None if plan.for_ms is None else draft.fill(plan.for_ms, path)
        return moments.reachable(draft.now + moments.length(value))
