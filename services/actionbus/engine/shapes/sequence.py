"""Nodes one after the other. The cursor counts the finished ones, so a long sequence costs no more than a short one."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from actionbus.contracts.definitions import Graph
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.nodes import SequenceNode
from actionbus.contracts.payloads import Json
from actionbus.contracts.run import StepStatus
from actionbus.engine import failure
from actionbus.engine.shapes.shape import Shape
from actionbus.engine.template import Template

if TYPE_CHECKING:  # as in shape.py
    from actionbus.engine.definition import Place
    from actionbus.engine.draft import Draft


_END_OF_ID: Final = re.compile(r"[.\[]")


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

    def go_back(self, draft: "Draft", place: "Place", path: str, number: int) -> None:
        """Undo what was done from the node of that number on, which is given up already; then begin with it again."""
        draft.open(path, number)
        self._undo(draft, place, path)

    def unwound(self, draft: "Draft", place: "Place", path: str, below: str) -> None:
        """One of the nodes is undone that the sequence went back over; the one before it follows."""
        del below
        self._undo(draft, place, path)

    def _undo(self, draft: "Draft", place: "Place", path: str) -> None:
        """Nodes came one after the other, so the last that left something to undo is undone first, and wholly."""
        plan: SequencePlan = place.plan
        cursor = draft.scopes[path].cursor
        among, number = inside(plan, path, cursor), numbers(plan, path)
        undoing = [each.path for each in draft.steps.values() if each.status is StepStatus.COMPENSATING]
        left = [number(each) for each in [*undoing, *(undo.step for undo in draft.compensations)] if among(each)]
        last = max(left, default=None)
        if last is None:
            draft.enter(_child(plan, path, cursor))
        else:
            draft.unwind(path, _child(plan, path, last))

    def _go_on(self, draft: "Draft", place: "Place", path: str, cursor: int) -> None:
        plan: SequencePlan = place.plan
        if cursor < len(plan.ids):
            draft.open(path, cursor)
            draft.enter(_child(plan, path, cursor))
            return
        draft.close(path)
        try:
            output = None if plan.output is None else draft.fill_bytes(plan.output, path)
        except PayloadRefused as refused:
            draft.refuse(path, failure.OUTPUT_REFUSED, refused)
        else:
            draft.finish(path, output)


def numbers(plan: SequencePlan, path: str) -> Callable[[str], int]:
    """Gives for any path the place of the node of the sequence at ``path`` that it belongs to; -1 outside of it."""
    places = {each: number for number, each in enumerate(plan.ids)}
    start = f"{path}." if path else ""

    def number(each: str) -> int:
        if not each.startswith(start):
            return -1
        return places.get(_END_OF_ID.split(each[len(start) :], maxsplit=1)[0], -1)

    return number


def inside(plan: SequencePlan, path: str, first: int) -> Callable[[str], bool]:
    """Tells whether a path belongs to a node of the sequence at ``path``, from the node of a number on."""
    number = numbers(plan, path)
    return lambda each: number(each) >= first


def _child(plan: SequencePlan, path: str, number: int) -> str:
    return f"{path}.{plan.ids[number]}" if path else plan.ids[number]
