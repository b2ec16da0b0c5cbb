"""A record published by the transaction that reaches the node: done as soon as it begins."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from actionbus.contracts import payloads
from actionbus.contracts.definitions import Graph
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.events import EntryKind
from actionbus.contracts.nodes import EmitNode
from actionbus.contracts.payloads import Json
from actionbus.contracts.results import Emit
from actionbus.engine import failure
from actionbus.engine.shapes.shape import Shape
from actionbus.engine.template import Template

if TYPE_CHECKING:  # as in shape.py
    from actionbus.engine.definition import Place
    from actionbus.engine.draft import Draft

_JSON: Final = {"content-type": b"application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EmitPlan:
    """The templates of the record."""

    topic: str
    key: Template
    value: Template


class EmitShape(Shape):
    """See ``Shape``."""

    def reads(self, node: EmitNode) -> Iterator[Json]:
        """Key and value of the record."""
        yield node.key
        yield node.value

    def plan(self, node: EmitNode, graph: Graph) -> EmitPlan:
        """The record's templates."""
        del graph
        return EmitPlan(topic=node.topic, key=Template.of(node.key), value=Template.of(node.value))

    def enter(self, draft: "Draft", place: "Place", path: str) -> None:
        """Ask for the record and be done. Text as a key stands as it is; all else is JSON; null is no key, no value."""
        plan: EmitPlan = place.plan
        try:
            key = _key(draft.fill(plan.key, path))
            value = draft.fill_bytes(plan.value, path)
        except PayloadRefused as refused:
            draft.refuse(path, failure.INPUT_REFUSED, refused)
            return
        if value == b"null":
            draft.emits.append(Emit(topic=plan.topic, key=key))
        else:
            draft.emits.append(Emit(topic=plan.topic, key=key, value=value, headers=_JSON))
        draft.note(EntryKind.RECORD_EMITTED, step=path, data=payloads.encode({"topic": plan.topic}))
        draft.finish(path)


def _key(value: Json) -> bytes | None:
    if value is None:
        return None
    return value.encode() if isinstance(value, str) else payloads.encode(value)
