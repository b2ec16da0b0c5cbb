"""A failure that the author decides on: whatever is around it answers it like any other."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actionbus.contracts import payloads
from actionbus.contracts.definitions import Graph
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.nodes import RaiseNode
from actionbus.contracts.payloads import Json
from actionbus.contracts.results import ActionError
from actionbus.engine import failure
from actionbus.engine.shapes.shape import Shape
from actionbus.engine.template import Template

if TYPE_CHECKING:  # as in shape.py
    from actionbus.engine.definition import Place
    from actionbus.engine.draft import Draft


@dataclass(frozen=True, slots=True, kw_only=True)
class RaisePlan:
    """The templates of the error."""

    error_type: str
    message: Template
    details: Template


class RaiseShape(Shape):
    """See ``Shape``."""

    def reads(self, node: RaiseNode) -> Iterator[Json]:
        """Message and details."""
        yield node.message
        yield node.details

    def plan(self, node: RaiseNode, graph: Graph) -> RaisePlan:
        """The error's templates."""
        del graph
        return RaisePlan(
            error_type=node.error_type, message=Template.of(node.message), details=Template.of(node.details)
        )

    def enter(self, draft: "Draft", place: "Place", path: str) -> None:
        """Fail with the error; one that cannot be made fails as well, with its own reason."""
        plan: RaisePlan = place.plan
        try:
            message = draft.fill(plan.message, path)
            details = draft.fill_bytes(plan.details, path)
        except PayloadRefused as refused:
            draft.refuse(path, failure.INPUT_REFUSED, refused)
            return
        error = ActionError(
            type=plan.error_type,
            message=message if isinstance(message, str) else payloads.encode(message).decode(),
            details=None if details == b"null" else details,
        )
        draft.fail(path, failure.bounded(error, draft.definition.limits))
