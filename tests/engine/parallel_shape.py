"""Kinds of nodes that the product does not have: branches at the same time, and a scope that catches what fails inside.

They show that a new kind is one class and one entry, and that scopes may decide about failures.
"""

from typing import Any, Literal

from pydantic import BaseModel

from actionbus.contracts import payloads
from actionbus.contracts.definitions import Graph, SequenceNode
from actionbus.engine.shapes.shape import Shape


class ParallelNode(BaseModel):
    """Nodes at the same time; done when all are done, failed with the first that fails."""

    kind: Literal["parallel"] = "parallel"
    id: str
    nodes: tuple[Any, ...]


class AttemptNode(BaseModel):
    """One node; when it fails, what was done inside is undone, and the run goes on."""

    kind: Literal["attempt"] = "attempt"
    id: str
    node: Any


class ParallelGraph(Graph):
    """A graph that may hold it."""

    @property
    def hash(self) -> str:
        """Any text that tells graphs apart: the canonical form knows only the kinds of the product."""
        return repr(self.root)


def parallel(name, *nodes) -> ParallelNode:
    """Nodes at the same time."""
    return ParallelNode(id=name, nodes=nodes)


def attempt(name, node) -> AttemptNode:
    """A node that may fail."""
    return AttemptNode(id=name, node=node)


def sequence_of_any(name, *nodes) -> SequenceNode:
    """Nodes one after the other, parallel ones among them."""
    return SequenceNode.model_construct(id=name, nodes=nodes)


def parallel_graph(*nodes, actions, **fields) -> ParallelGraph:
    """A graph that may hold parallel nodes, at any depth of its sequences."""
    root = sequence_of_any("root", *nodes)
    return ParallelGraph(name="order", version="1", root=root, actions=actions, **fields)


class ParallelShape(Shape):
    """See ``Shape``."""

    def inside(self, node, graph):
        """Its branches."""
        del graph
        return [(f".{each.id}", each) for each in node.nodes]

    def enter(self, draft, place, path):
        """Begin all branches."""
        if not place.node.nodes:
            draft.finish(path, b"[]")
            return
        draft.open(path, 0, payloads.encode([]))
        for each in place.node.nodes:
            draft.enter(f"{path}.{each.id}")

    def finished(self, draft, place, path, child, output):
        """Wait for the others; the output is the list of all, in the order of their ids."""
        done = draft.scopes[path].cursor + 1
        outputs = [*payloads.decode(draft.scopes[path].data), [child, payloads.decode(output or b"null")]]
        if done < len(place.node.nodes):
            draft.open(path, done, payloads.encode(outputs))
        else:
            del draft.scopes[path]
            draft.finish(path, payloads.encode([value for _, value in sorted(outputs)]))

    def failed(self, draft, place, path, child, error):
        """Give up the other branches."""
        del place, child
        draft.abandon(path)
        draft.fail(path, error)


class AttemptShape(Shape):
    """See ``Shape``."""

    def inside(self, node, graph):
        """What may fail."""
        del graph
        return [(f".{node.node.id}", node.node)]

    def enter(self, draft, place, path):
        """Begin what may fail."""
        draft.open(path)
        draft.enter(f"{path}.{place.node.node.id}")

    def finished(self, draft, place, path, child, output):
        """It did not fail."""
        del place, child
        del draft.scopes[path]
        draft.finish(path, output)

    def failed(self, draft, place, path, child, error):
        """Undo what was done inside."""
        del place, child
        draft.abandon(path)
        draft.open(path, 1, payloads.encode(error.type))
        draft.unwind(path)

    def unwound(self, draft, place, path):
        """Go on with the error's type."""
        del place
        draft.finish(path, draft.scopes.pop(path).data)


NEW_KINDS = {"parallel": ParallelShape(), "attempt": AttemptShape()}
