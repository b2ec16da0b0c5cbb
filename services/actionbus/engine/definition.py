"""A definition as the engine reads it: the graph with every node at its path, prepared once and shared by all its runs.

A static path is a node's place in the graph; a run's path may carry item indexes, ``charge[3].book`` for
``charge[].book``.
"""

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Self

from actionbus.contracts import templates
from actionbus.contracts.checks import check
from actionbus.contracts.definitions import ActionSpec, Graph, WorkflowDefinition, read_graph
from actionbus.contracts.errors import DefinitionRefused
from actionbus.contracts.limits import DEFAULT_LIMITS, Limits
from actionbus.contracts.nodes import Waiting
from actionbus.contracts.payloads import Json
from actionbus.contracts.validation import Schema
from actionbus.engine.liveness import RUN_INPUT, Liveness, liveness
from actionbus.engine.paths import ROOT, beside, static
from actionbus.engine.shapes import SHAPES
from actionbus.engine.shapes.shape import Shape
from actionbus.engine.template import Template


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A node with its static path, the path around it, its shape and what that prepared."""

    path: str
    parent: str | None
    node: Any
    shape: Shape
    plan: Any


class Definition:
    """A compiled graph. It never changes, and holds nothing of any run."""

    def __init__(
        self,
        graph: Graph,
        *,
        limits: Limits = DEFAULT_LIMITS,
        run_retention_ms: int,
        content_hash: str | None = None,
    ) -> None:
        """Compile a graph that ``contracts.checks.check`` has passed.

        Raises DefinitionRefused for what it meets itself: unknown kinds, unreadable schemas, references to no step.
        ``run_retention_ms``: for how long an ended run is kept, and a second start with its id refused.
        ``content_hash``: the hash it was deployed with; None: that of the graph as this version writes it.
        """
        self.graph = graph
        self.limits = limits
        self.run_retention_ms = run_retention_ms
        self.name = graph.name
        self.version = graph.version
        self.hash = content_hash or graph.hash
        self.output = Template.of(graph.output)
        self.limited = graph.limit is not None or any(spec.limit is not None for spec in graph.actions.values())
        self.input_schema = Schema(graph.input_schema)
        self.output_schema = Schema(graph.output_schema)
        self._inputs = {name: Schema(spec.input_schema) for name, spec in graph.actions.items()}
        self._outputs = {name: Schema(spec.output_schema) for name, spec in graph.actions.items()}
        self.places: dict[str, Place] = {}
        self._by_id: dict[str, str] = {}
        self._lasts: set[str] = set()  # repeats of which a turn reads what the one before gave
        self.signals: dict[str, Schema] = {}
        self.updates: set[str] = set()  # signals whose senders wait for an answer
        for place in _walk(graph):
            self.places[place.path] = place
            self._by_id[place.node.id] = place.path
            if isinstance(place.node, Waiting):
                self.signals[place.node.signal] = Schema(place.node.payload_schema)
                if place.node.accept is not None or place.node.answer is not None:
                    self.updates.add(place.node.signal)
        self.forgets = True  # see ``remembering``
        self.readers: dict[str, list[str]] = {RUN_INPUT: []}  # who reads the input, and every node that is read
        self.liveness: Liveness = self._liveness()
        self.reads_input = RUN_INPUT in self.liveness.read
        self.wanted: frozenset[str] = self._wanted()

    @classmethod
    def deployed(cls, record: WorkflowDefinition, *, limits: Limits, run_retention_ms: int) -> Self:
        """Check and compile a deployed definition; raise DefinitionRefused when it cannot be run.

        Runs are pinned to the hash of the bytes that were deployed, so that a version of actionbus which writes graphs
        with one more field still knows the runs of the one before.
        """
        found = sha256(record.graph).hexdigest()
        if found != record.hash:
            raise DefinitionRefused(f"the content of {record.name}@{record.version} has the hash {found}, not its own")
        graph = read_graph(record.graph)
        if (graph.name, graph.version) != (record.name, record.version):
            raise DefinitionRefused(f"{record.name}@{record.version} holds the graph of {graph.name}@{graph.version}")
        check(graph, limits)
        return cls(graph, limits=limits, run_retention_ms=run_retention_ms, content_hash=record.hash)

    def place(self, path: str) -> Place | None:
        """The node at a run's path, or None when the graph has no such place."""
        return self.places.get(path if "[" not in path else static(path))

    def path_of(self, node: str) -> str | None:
        """The static path of the node with that id; None when there is none."""
        return self._by_id.get(node)

    def remembering(self) -> Self:
        """The same definition for looking back: a run under it forgets nothing that was ever read."""
        other = copy(self)
        other.forgets = False
        return other

    def admit(self, run_id: str, given: Json) -> Json:
        """The input with its defaults; raises PayloadRefused or IdentifierRefused when no run can begin with it."""
        del run_id
        return self.input_schema.complete(given)

    def action(self, name: str) -> ActionSpec:
        """What is known of an action."""
        return self.graph.actions[name]

    def input_of(self, action: str) -> Schema:
        """The schema of an action's input."""
        return self._inputs[action]

    def output_of(self, action: str) -> Schema:
        """The schema of an action's output."""
        return self._outputs[action]

    def source(self, node: str, reader: str) -> str:
        """The run's path of the node with that id, as a node at the run's path ``reader`` sees it."""
        found = self._by_id[node]
        return found if "[" not in found else beside(found, reader)

    def _liveness(self) -> Liveness:
        for place in self.places.values():
            for body in place.shape.reads(place.node):
                self._note(self.readers, body, place.path)
        self._note(self.readers, self.graph.output, ROOT)
        return liveness({path: place.parent for path, place in self.places.items()}, self.readers)

    def _wanted(self) -> frozenset[str]:
        """The nodes whose output is read, by their own id or as part of what a node around them gives."""
        wanted: set[str] = set(self.liveness.read)
        for place in self.places.values():  # outermost first
            around = None if place.parent is None else self.places[place.parent]
            if around and around.shape.hands_on and (around.path in wanted or around.path in self._lasts):
                wanted.add(place.path)
        return frozenset(wanted)

    def _note(self, readers: dict[str, list[str]], body: Any, reader: str) -> None:
        for path in templates.references(body):
            if path[0] == templates.INPUT:
                readers[RUN_INPUT].append(reader)
            elif path[0] == templates.SCOPE and path[2:3] == ("last",):
                self._lasts.add(self._by_id[str(path[1])])
            elif path[0] == templates.STEPS:
                name = str(path[1]) if len(path) > 1 else ""
                if name not in self._by_id:
                    raise DefinitionRefused(f"{reader or 'the output'} reads the step {name!r}, which is not there")
                readers.setdefault(self._by_id[name], []).append(reader)


def _walk(graph: Graph) -> Iterator[Place]:
    waiting: list[tuple[str, str | None, Any]] = [(ROOT, None, graph.root)]
    while waiting:
        path, parent, node = waiting.pop()
        shape = SHAPES.get(node.kind)
        if shape is None:
            raise DefinitionRefused(f"{path}: there is no kind of node called {node.kind!r}")
        yield Place(path=path, parent=parent, node=node, shape=shape, plan=shape.plan(node, graph))
        below = [(f"{path}{suffix}" if path else suffix.lstrip("."), path, each) for suffix, each in shape.inside(node)]
        waiting.extend(reversed(below))
