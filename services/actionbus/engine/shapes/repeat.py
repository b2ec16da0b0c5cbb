"""One node again and again. The cursor is the turn under way, from 0; the scope's data is what the one before gave."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actionbus.contracts import payloads
from actionbus.contracts.definitions import Graph
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.nodes import RepeatNode
from actionbus.contracts.payloads import Json
from actionbus.contracts.run import TimerKind
from actionbus.engine import failure
from actionbus.engine.paths import below
from actionbus.engine.shapes.shape import Shape
from actionbus.engine.template import Template

if TYPE_CHECKING:  # as in shape.py
    from actionbus.engine.definition import Place
    from actionbus.engine.draft import Draft


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatPlan:
    """Its conditions; None where there is none."""

    wanted: Template | None
    done: Template | None


class RepeatShape(Shape):
    """See ``Shape``."""

    hands_on = True
    yields = True

    def reads(self, node: RepeatNode) -> Iterator[Json]:
        """The conditions."""
        yield node.while_
        yield node.until

    def plan(self, node: RepeatNode, graph: Graph) -> RepeatPlan:
        """See ``RepeatPlan``."""
        del graph
        return RepeatPlan(
            wanted=Template.maybe(node.while_),
            done=Template.maybe(node.until),
        )

    def enter(self, draft: "Draft", place: "Place", path: str) -> None:
        """Begin with the first turn, if there is one."""
        draft.open(path, 0, b"null")
        self._turn(draft, place, path, 0)

    def finished(self, draft: "Draft", place: "Place", path: str, child: str, output: bytes | None) -> None:
        """A turn is over: it was the last, or another one follows."""
        turn = draft.scopes[path].cursor
        last = output or b"null"
        draft.open(path, turn, last)
        if place.node.limit is None:
            # Without a limit nothing may grow with the turns, what undoes them included: each turn is final.
            draft.compensations = tuple(each for each in draft.compensations if not below(each.step, child))
        plan: RepeatPlan = place.plan
        try:
            over = plan.done is not None and draft.holds(plan.done, child)
        except PayloadRefused as refused:
            self._refused(draft, path, refused)
            return
        if over:
            draft.close(path)
            draft.finish(path, last)
        else:
            draft.open(path, turn + 1, last)
            self._turn(draft, place, path, turn + 1)

    def woke(self, draft: "Draft", place: "Place", path: str) -> None:
        """Go on after a pause that other runs were owed."""
        del place
        draft.enter(f"{path}[{draft.scopes[path].cursor}]")

    def gives(self, draft: "Draft", place: "Place", path: str, reader: str) -> Json:
        """The turn, and what the one before it gave."""
        del place, reader
        scope = draft.scopes[path]
        return {"turn": scope.cursor, "last": payloads.decode(scope.data or b"null")}

    def _turn(self, draft: "Draft", place: "Place", path: str, turn: int) -> None:
        plan: RepeatPlan = place.plan
        child = f"{path}[{turn}]"
        try:
            wanted = plan.wanted is None or draft.holds(plan.wanted, child)
        except PayloadRefused as refused:
            self._refused(draft, path, refused)
            return
        limit = place.node.limit
        if wanted and turn != limit:
            if draft.busy:  # turns that need nobody must not keep the shard from its other runs
                draft.arm(TimerKind.WAKE, draft.now + 1, path)
            else:
                draft.enter(child)
            return
        last = draft.scopes[path].data
        draft.close(path)
        if wanted and (plan.wanted is not None or plan.done is not None):
            why = f"{path}: {limit} turns were not enough"
            draft.fail(path, failure.refused(failure.TOO_MANY_TURNS, why))
        else:
            draft.finish(path, last)

    def _refused(self, draft: "Draft", path: str, refused: PayloadRefused) -> None:
        draft.close(path)
        draft.refuse(path, failure.CONDITION_REFUSED, refused)
