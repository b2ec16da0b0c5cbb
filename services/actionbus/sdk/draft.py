"""What has been written down of a workflow so far: its nodes, in the blocks that are open, and the ids they took.

A block is a function that is called once, while the workflow is read. Its nodes become a sequence of their own, and
what it returns that sequence's output; from then on nothing inside it can be read but through that output.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from actionbus.contracts import identifiers
from actionbus.contracts.errors import IdentifierRefused
from actionbus.contracts.nodes import Node, RaiseNode, SequenceNode
from actionbus.contracts.templates import STEPS
from actionbus.sdk import place, schema
from actionbus.sdk.given import UNREACHED, Given, annotation_of
from actionbus.sdk.place import Place
from actionbus.sdk.reference import Origin, standing_for
from actionbus.sdk.scope import Scope
from actionbus.sdk.shape import Shape
from actionbus.sdk.template import Writing
from actionbus.sdk.unknown import Unknown

if TYPE_CHECKING:
    from actionbus.contracts.payloads import Json
    from actionbus.sdk.action import Action
    from actionbus.sdk.workflow import Workflow

_WORKFLOW: Final = "it belongs to another workflow"


class Draft:
    """A workflow that is being read."""

    def __init__(self) -> None:
        self.actions: dict[str, Action[..., Any]] = {}
        self.children: dict[str, Workflow[Any, Any]] = {}
        self.signals: dict[str, tuple[Json, Place]] = {}
        self.root = Scope(_WORKFLOW)
        self._open = [self.root]
        self._places: dict[str, Place] = {}

    @property
    def fails(self) -> bool:
        """Whether what is around the node that comes next is never reached: the last one fails."""
        nodes = self._open[-1].nodes
        return bool(nodes) and isinstance(nodes[-1], RaiseNode)

    def writing(self, at: Place | None = None, *also: Scope) -> Writing:
        """Where something is written now: at a line, the caller's unless given, and what can be read there."""
        return Writing(place.here() if at is None else at, (*self._open, *also))

    def claim(self, given: str | None, default: str, writing: Writing, how: str) -> str:
        """An id that nobody has yet: the given one, else the default; ``how`` shows how to give one."""
        try:
            name = identifiers.name("step id", default if given is None else given)
        except IdentifierRefused as error:
            raise writing.refusal(str(error)) from None
        if name in self._places:
            raise writing.refusal(
                f"there is a step {name} already, at {self._places[name]}: give this one an id of its own, {how}"
            )
        self._places[name] = writing.at
        return name

    def at(self, node: str) -> str:
        """Where a node is written, to stand before what is said about it; empty for one that nobody wrote down."""
        return f"{self._places[node]}: " if node in self._places else ""

    def number(self, kind: str) -> str:
        """The default id of a node that has no better name: its kind, from the second one on with a number."""
        names = (kind if number == 1 else f"{kind}-{number}" for number in range(1, len(self._places) + 2))
        return next(each for each in names if each not in self._places)

    def add(self, kind: Callable[..., Node], writing: Writing, **fields: Any) -> None:
        """Write a node down, after those before it in the innermost open block."""
        try:
            self._open[-1].nodes.append(kind(**fields))
        except ValidationError as error:
            raise writing.refusal(schema.problems(error)) from None

    def result(self, node: str, annotation: Any, shape: Shape, *part: int | str) -> Any:
        """A reference to what a node gives, or to a part of it; it can be read until the block around the node ends."""
        return standing_for(Origin((STEPS, node, *part), annotation, shape, self._open[-1]))

    @contextmanager
    def inside(self, scope: Scope) -> Generator[Scope]:
        """While something is being written that those inside it may read."""
        self._open.append(scope)
        yield scope
        self._open.remove(scope)

    def block(self, name: str, method: str, writing: Writing, body: Any, *values: Any) -> tuple[SequenceNode, Given]:
        """What a function writes, as one node, and what it gives; ``method`` is what the function was handed to."""
        if isinstance(body, Unknown) or not callable(body):
            raise writing.refusal(
                f"{method} takes functions that are called while the workflow is read, as in lambda: flow.run(...); "
                f"{body!r} is none"
            )
        at = place.of(body, writing.at)
        node = self.claim(None, name, writing, f'{method}(..., id="...")')
        scope = self.scope(method, writing.at)
        with self.inside(scope):
            returned = body(*values)
            given = self._given(returned, self.writing(at), f"what is returned to {method}")
        return SequenceNode(id=node, nodes=tuple(scope.nodes), output=given.template), given

    def scope(self, method: str, at: Place) -> Scope:
        """Something that can be read inside a block only."""
        return Scope(f"it belongs inside {method} at {at}: return the value from there, and read what {method} gives")

    def _given(self, returned: Any, writing: Writing, what: str) -> Given:
        if self.fails:
            return UNREACHED
        template, shape = writing.open(returned, what)
        return Given(template, annotation_of(returned), shape)
