"""What every kind of node can do. One file beside this one does it for each kind; ``SHAPES`` registers them.

A shape keeps nothing itself. What it must remember of a node that is under way goes into the draft: a ``StepState``
when the node waits for a worker, a ``ScopeState`` when it waits for the nodes inside it. It lets things follow one
another by leaving moves with the draft (``enter``, ``finish``, ``fail``), so that ten thousand nodes in a row need no
deep stack.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from actionbus.contracts.definitions import Graph
from actionbus.contracts.errors import InvariantBroken
from actionbus.contracts.payloads import Json
from actionbus.contracts.results import ActionError
from actionbus.contracts.run import ScopeState

if TYPE_CHECKING:  # the draft uses the definition, which looks through every node with these shapes
    from actionbus.engine.definition import Place
    from actionbus.engine.draft import Draft


class Shape(ABC):
    """One kind of node. ``path`` is the node's path in the run; ``place`` is what the definition knows of it."""

    hands_on: ClassVar[bool] = False
    """Whether its output is made of those of the nodes directly inside it."""
    outside: ClassVar[bool] = False
    """Whether it waits for somebody outside the run for as long as it has a scope."""
    yields: ClassVar[bool] = False
    """Whether its timer only lets other runs go on, and is no time that anybody waits for."""

    def inside(self, node: Any) -> Iterable[tuple[str, Any]]:
        """The nodes inside a node, each with what its path adds: ``.id``, or ``[]`` for what may happen again."""
        return node.inside()

    def reads(self, node: Any) -> Iterable[Json]:
        """The templates that may be filled until the node has finished, those of the nodes inside it left out."""
        del node
        return ()

    def plan(self, node: Any, graph: Graph) -> Any:
        """What can be prepared once for each definition; it comes back as ``place.plan``."""
        del node, graph

    @abstractmethod
    def enter(self, draft: "Draft", place: "Place", path: str) -> None:
        """The node's turn has come."""

    def finished(self, draft: "Draft", place: "Place", path: str, child: str, output: bytes | None) -> None:
        """A node directly inside this one has finished; ``child`` is its path, ``output`` its JSON."""
        del draft, place, output
        raise InvariantBroken(f"{child} finished inside {path}, which holds nothing")

    def failed(self, draft: "Draft", place: "Place", path: str, child: str, error: ActionError) -> None:
        """A node directly inside this one has failed for good, and no rule of its own let the run go on.

        Unless a kind of node knows better, the node has failed as well.
        """
        del place, child
        draft.fail(path, error)

    def unwound(self, draft: "Draft", place: "Place", path: str, below: str) -> None:
        """Everything below ``below`` is undone, as this node asked for with ``draft.unwind`` while it has a scope."""
        del draft, place, below
        raise InvariantBroken(f"{path} was unwound and did not ask for it")

    def woke(self, draft: "Draft", place: "Place", path: str) -> None:
        """The time has come that this node set with ``draft.arm(TimerKind.WAKE, ...)``."""
        del draft, place
        raise InvariantBroken(f"{path} was woken and did not ask for it")

    def abandoned(self, draft: "Draft", place: "Place", scope: ScopeState) -> None:
        """The node is given up while it was under way; its scope is forgotten already."""
        del draft, place, scope

    def gives(self, draft: "Draft", place: "Place", path: str, reader: str) -> Json:
        """What the nodes inside read as ``scope.<id>``; ``reader`` is the run's path of the one that reads."""
        del draft, place, reader
        raise InvariantBroken(f"{path} gives nothing to those inside it")
