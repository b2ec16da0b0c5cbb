"""A signal that is waited for. One that came early is taken at once. While the node waits it has a scope."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from actionbus.contracts import payloads, templates
from actionbus.contracts.definitions import Graph
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.events import EntryKind
from actionbus.contracts.payloads import Json
from actionbus.contracts.results import ActionError
from actionbus.contracts.run import Signal, TimerKind
from actionbus.engine import failure
from actionbus.engine.shapes.shape import Shape
from actionbus.engine.template import Template

if TYPE_CHECKING:  # as in shape.py
    from actionbus.engine.definition import Place
    from actionbus.engine.draft import Draft


@dataclass(frozen=True, slots=True)
class WaitPlan:
    """Which payloads it takes, and what it says to them."""

    accept: Template | None
    answer: Template | None


@dataclass(frozen=True, slots=True)
class Awaited:
    """A node that waits for a signal."""

    path: str
    place: "Place"
    shape: "WaitShape"


class WaitShape(Shape):
    """See ``Shape``."""

    hands_on = True
    outside = True

    def reads(self, node: Any) -> Iterator[Json]:
        """What it takes and answers."""
        yield node.accept
        yield node.answer

    def plan(self, node: Any, graph: Graph) -> WaitPlan:
        """Its templates, looked through."""
        del graph
        return WaitPlan(accept=Template.maybe(node.accept), answer=Template.maybe(node.answer))

    def enter(self, draft: "Draft", place: "Place", path: str) -> None:
        """Take the oldest signal of that name that is accepted, or wait for one."""
        for early in [each for each in draft.signals if each.name == place.node.signal]:
            draft.signals = tuple(each for each in draft.signals if each is not early)
            if self._takes(draft, place, path, early):
                reason = f"the signal {early.name} had come before"
                draft.note(EntryKind.WAIT_ENDED, step=path, data=early.payload, reason=reason)
                draft.finish(path, early.payload)
                return
        self.begin(draft, place, path)

    def begin(self, draft: "Draft", place: "Place", path: str) -> None:
        """Wait from now on."""
        name, limit = place.node.signal, place.node.timeout_ms
        until = None if limit is None else draft.now + limit
        draft.open(path)
        draft.note(EntryKind.WAIT_BEGAN, step=path, data=payloads.encode({"signal": name, "until": until}))
        if until is not None:
            draft.arm(TimerKind.WAKE, until, path)

    def answer(self, draft: "Draft", place: "Place", path: str, payload: bytes) -> bytes | None:
        """What the sender of a payload gets; raises PayloadRefused with the reason when it is not accepted."""
        plan: WaitPlan = place.plan
        more: dict[str, Json] = {templates.PAYLOAD: payloads.decode(payload)}
        if plan.accept is not None and not draft.holds(plan.accept, path, **more):
            raise PayloadRefused(f"{path} does not accept it: {_condition(place.node.accept)} does not hold")
        return None if plan.answer is None else draft.fill_bytes(plan.answer, path, **more)

    def signalled(self, draft: "Draft", place: "Place", path: str, payload: bytes) -> None:
        """The signal has come."""
        draft.close(path)
        draft.note(EntryKind.WAIT_ENDED, step=path, data=payload, reason=f"the signal {place.node.signal} came")
        draft.finish(path, payload)

    def woke(self, draft: "Draft", place: "Place", path: str) -> None:
        """No signal came in time."""
        draft.close(path)
        draft.note(EntryKind.WAIT_ENDED, step=path, reason=f"no signal {place.node.signal} came in time")
        if place.node.on_timeout is not None:
            draft.enter(f"{path}.{place.node.on_timeout.id}")
            return
        message = f"{path}: no signal {place.node.signal} came within {place.node.timeout_ms} ms"
        draft.fail(path, ActionError(type=failure.TIMEOUT, message=message))

    def finished(self, draft: "Draft", place: "Place", path: str, child: str, output: bytes | None) -> None:
        """What follows when no signal came is done."""
        del place, child
        draft.finish(path, output)

    def _takes(self, draft: "Draft", place: "Place", path: str, early: Signal) -> bool:
        """Whether a signal that came early is accepted; whoever waits for the verdict hears it now."""
        try:
            answer = self.answer(draft, place, path, early.payload)
        except PayloadRefused as refused:
            draft.note(EntryKind.REQUEST_REJECTED, step=path, request_id=early.request_id, reason=str(refused))
            return False
        if early.request_id is not None:
            draft.note(EntryKind.REQUEST_ACCEPTED, step=path, request_id=early.request_id, data=answer)
        return True


def _condition(template: Json) -> str:
    return str(template[templates.CEL]) if templates.is_expression(template) else "its condition"
