"""Whether a graph can be run as it is written: every mistake named at once, before anything is deployed.

How a graph is run stands in ``engine``; what cannot be known before a topic or a database is met, nowhere here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from actionbus.contracts import limiting, saga, schedules, searching
from actionbus.contracts.definitions import Graph
from actionbus.contracts.errors import DefinitionRefused
from actionbus.contracts.limits import Limits
from actionbus.contracts.node_checks import NodeChecks, grammar, policy, schema, topic, version
from actionbus.contracts.nodes import Waiting
from actionbus.contracts.reading import Reading


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong, in one sentence that says where; ``node`` is the id of the node, None: the graph itself."""

    node: str | None
    message: str


def check(graph: Graph, limits: Limits) -> None:
    """Raise DefinitionRefused with every mistake of a graph."""
    found = mistakes(graph, limits)
    if found:
        raise DefinitionRefused(told(graph, found))


def told(graph: Graph, found: Sequence[Mistake], at: Callable[[str], str] = lambda _: "") -> str:
    """All mistakes of a graph in words; ``at`` gives where the node with an id is written, empty: nobody knows."""
    listed = "".join(f"\n- {at(each.node or '')}{each.message}" for each in found)
    return f"the workflow {graph.name} cannot be run as it is written:{listed}"


def mistakes(graph: Graph, limits: Limits) -> list[Mistake]:
    """Every mistake of a graph."""
    sizes = [*_size(graph, limits)]
    if sizes:  # a graph beyond its limits is not walked through
        return [Mistake(None, each) for each in sizes]
    whole = [*_names(graph), *_actions(graph), *policy("undo_retry", graph.undo_retry)]
    unsafe = [Mistake(node, f"saga: {message}") for node, message in saga.mistakes(graph)]
    return [Mistake(None, each) for each in whole] + [*_nodes(graph, limits)] + unsafe


def _size(graph: Graph, limits: Limits) -> Iterator[str]:
    count = deepest = 0
    for _, _, depth in graph.nodes():
        count += 1
        deepest = max(deepest, depth)
        if count > limits.graph_nodes or depth > limits.graph_depth:
            break
    if count > limits.graph_nodes:
        yield f"it has more than {limits.graph_nodes} nodes: split it into several workflows"
    elif deepest > limits.graph_depth:
        yield f"its nodes are nested deeper than {limits.graph_depth}"
    elif (size := len(graph.canonical())) > limits.graph_bytes:
        yield f"it has {size} bytes as canonical JSON, the limit is {limits.graph_bytes}: keep data out of it"


def _names(graph: Graph) -> Iterator[str]:
    yield from grammar("workflow id", graph.name)
    if graph.name == schedules.WORKFLOW:
        yield f"{graph.name} is built in: give the workflow another id"
    yield from version(graph.version)
    yield from schema("the workflow's input", graph.input_schema)
    yield from schema("the workflow's output", graph.output_schema)
    yield from limiting.mistakes("the workflow", graph.limit, graph.input_schema)
    yield from searching.mistakes(graph.searchable, graph.input_schema)


def _actions(graph: Graph) -> Iterator[str]:
    for key, spec in graph.actions.items():
        yield from grammar("action id", spec.id)
        if key != spec.id:
            yield f"the action {spec.id} stands under the name {key}"
        yield from schema(f"the input of action {key}", spec.input_schema)
        yield from schema(f"the output of action {key}", spec.output_schema)
        yield from policy(f"action {key}", spec.retry)
        yield from limiting.mistakes(f"action {key}", spec.limit, spec.input_schema)
        for each in spec.emits:
            yield from topic(f"action {key}", each)


def _nodes(graph: Graph, limits: Limits) -> Iterator[Mistake]:
    checks = NodeChecks(graph, limits, Reading(graph))
    seen: set[str] = set()
    signals: dict[str, Waiting] = {}
    for path, node, _ in graph.nodes():
        for message in checks.mistakes(path, node):
            yield Mistake(node.id, message)
        if node.id in seen:
            yield Mistake(
                node.id, f"{node.kind} {path}: the id {node.id} is there twice: give one of them an id of its own"
            )
        seen.add(node.id)
        if isinstance(node, Waiting) and signals.setdefault(node.signal, node).payload_schema != node.payload_schema:
            why = f"the signal {node.signal} is waited for with another schema elsewhere: use one for both"
            yield Mistake(node.id, f"{node.kind} {path}: {why}")
    if graph.root.output is not None:
        yield Mistake(None, "the root gives no output of its own: use the output of the graph")
    for message in checks.reading.mistakes("the output", graph.output, ""):
        yield Mistake(None, message)
