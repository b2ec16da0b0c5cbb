"""Whether a run of a workflow that asks for it ends either whole or undone: what a graph with ``saga`` promises.

Before its pivot, the point of no return, whatever is done can be taken back or may stay; after it, nothing fails for
good. Steps have the same meaning with and without these checks. What no graph says is not looked at: values that
cannot be made, records that are published, an operator who cancels, what the workflows of other runs promise.
"""

from collections.abc import Iterator
from typing import Final

from actionbus.contracts.decisions import Compensate, ContinueWith, Fail, Fallback, Pause, Rule
from actionbus.contracts.definitions import Graph
from actionbus.contracts.nodes import (
    BlockRule,
    ChildNode,
    GiveUp,
    Handle,
    Node,
    PersonNode,
    RaiseNode,
    RepeatNode,
    SequenceNode,
    StepNode,
    TryNode,
    WaitNode,
)

_LEFT: Final = "which would undo what was done before the pivot"
_ANSWER: Final = "let a block around it answer that"
Mistakes = Iterator[tuple[str | None, str]]
"""Each with the id of its node, None: the graph itself."""


def mistakes(graph: Graph) -> Mistakes:
    """What stands against the promise, in reading order; nothing where the graph does not make it."""
    if not graph.saga:
        return
    nodes = [(path, node) for path, node, _ in graph.nodes()]
    pivots = [(path, node) for path, node in nodes if isinstance(node, StepNode) and node.pivot]
    for path, node in pivots[1:]:
        yield _told(path, node, "there is a pivot before it: a workflow has one point of no return")
    if pivots and pivots[0][0] not in _certain(graph):
        why = "a pivot stands in the workflow itself or in a sequence, where it is certain what comes before it"
        yield _told(*pivots[0], why)
        return
    place = nodes.index(pivots[0]) if pivots else len(nodes)
    for number, (path, node) in enumerate(nodes[: place + 1]):
        yield from _before(graph, path, node, pivot=number == place)
    if pivots and graph.run_timeout_ms is not None:
        yield None, "the time of the whole run may be over after its pivot: give times to the nodes before that instead"
    unanswered = _unanswered(nodes)
    for path, node in nodes[place + 1 :]:
        if path in unanswered and (why := _fails(node)) is not None:
            yield _told(path, node, why)
        elif isinstance(node, StepNode):
            yield from _ends(path, node)


def _before(graph: Graph, path: str, node: Node, *, pivot: bool) -> Mistakes:
    if isinstance(node, RepeatNode) and node.limit is None and _undoes(node):
        yield _told(path, node, "without a limit its finished turns are not undone any more: give it a limit")
    if isinstance(node, ChildNode) and (why := _leaves(node)) is not None:
        yield _told(path, node, why)
    if not isinstance(node, StepNode):
        return
    yield from _ends(path, node)
    for number, rule in enumerate(node.rules, start=1):
        if isinstance(rule.then, Fallback) and not pivot and not _safe(graph, rule.then.call.action):
            yield _told(path, node, f"its rule {number} falls back to {rule.then.call.action}, which has no undo")
    if node.undo is None and not pivot and not _safe(graph, node.call.action):
        yield _told(
            path,
            node,
            f"it has no undo, and its action {node.call.action} is not safe_to_leave: give it one of them, or let it "
            "come after the pivot",
        )


def _ends(path: str, node: StepNode) -> Mistakes:
    """The rules of a step that end the run whatever a block around it says."""
    for number, rule in enumerate(node.rules, start=1):
        if isinstance(rule.then, Fail):
            yield _told(path, node, f"its rule {number} ends the run and undoes nothing before it: use compensate")


def _leaves(node: ChildNode) -> str | None:
    """How a run that another one started may stay when that one is undone; None when it is undone with it."""
    if not node.wait:
        return "its run is not waited for, so nothing takes it back: wait for it, or let it come after the pivot"
    if node.give_up is not GiveUp.CANCEL:
        return f"it would {node.give_up} its run, which then stays as it is: let it cancel it"
    if node.undo is None:
        return (
            "it has no undo, and a run that completed does not undo itself: give it one, or let it come after the pivot"
        )
    return None


def _fails(node: Node) -> str | None:  # noqa: PLR0911 - a table of cases
    """How a node can fail for good by itself; None when it cannot."""
    match node:
        case StepNode() if not _goes_on(node.rules):
            return f"it can fail for good, {_LEFT}: give it a last rule for any error that pauses or gives a value"
        case RaiseNode():
            return f"it fails, {_LEFT}: {_ANSWER}"
        case WaitNode(timeout_ms=int(), on_timeout=None) | PersonNode(timeout_ms=int(), on_timeout=None):
            return f"it fails when no signal comes in time, {_LEFT}: say what follows on a timeout"
        case TryNode(timeout_ms=int()) if not _goes_on(node.rules):
            return f"it fails when its block takes too long, {_LEFT}: {_ANSWER}"
        case ChildNode():
            return f"its run may be refused or not complete, {_LEFT}: {_ANSWER}"
        case RepeatNode(limit=int()) if node.while_ is not None or node.until is not None:
            return f"it fails when its turns are not enough, {_LEFT}: {_ANSWER}"
        case _:
            return None


def _goes_on(rules: tuple[Rule, ...] | tuple[BlockRule, ...]) -> bool:
    """Whether there is a rule for any error that goes on, and none before it that gives the run up.

    A fallback, or what a handler does, is not sure to succeed; a handler is looked at where it stands.
    """
    for rule in rules:
        if isinstance(rule.then, Compensate | Fail | Fallback):
            return False
        if isinstance(rule.then, ContinueWith | Pause | Handle) and rule.error_type is None and rule.when is None:
            return True
    return False


def _unanswered(nodes: list[tuple[str, Node]]) -> set[str]:
    """The paths of nodes whose failure no block around them answers. That of a reminder changes nothing."""
    answered = tuple(
        f"{path}["
        for path, node in nodes
        if isinstance(node, PersonNode) or (isinstance(node, TryNode) and _goes_on(node.rules))
    )
    return {path for path, _ in nodes if not path.startswith(answered)}


def _undoes(node: Node) -> bool:
    return (isinstance(node, StepNode | ChildNode) and node.undo is not None) or any(
        _undoes(each) for _, each in node.inside()
    )


def _safe(graph: Graph, action: str) -> bool:
    spec = graph.actions.get(action)
    return spec is None or spec.safe_to_leave  # one that is not there is another mistake


def _certain(graph: Graph) -> set[str]:
    """The paths of the nodes that are reached once, one after the other."""
    found: set[str] = set()
    waiting: list[tuple[str, Node]] = [("", graph.root)]
    while waiting:
        path, node = waiting.pop()
        found.add(path)
        if isinstance(node, SequenceNode):
            waiting += [(f"{path}{suffix}".lstrip("."), each) for suffix, each in node.inside()]
    return found


def _told(path: str, node: Node, why: str) -> tuple[str, str]:
    return node.id, f"{node.kind} {path}: {why}"
