"""Small workflows for tests of the engine, written as short as they read."""

from actionbus.contracts.decisions import (
    Call,
    Compensate,
    ContinueWith,
    Fail,
    Fallback,
    Pause,
    Retry,
    RetryPolicy,
    Rule,
)
from actionbus.contracts.definitions import ActionSpec, Graph
from actionbus.contracts.limits import DEFAULT_LIMITS
from actionbus.contracts.nodes import (
    BlockRule,
    Case,
    ChildNode,
    ChooseNode,
    EmitNode,
    Handle,
    MapNode,
    ParallelNode,
    PersonNode,
    RaiseNode,
    RepeatNode,
    SequenceNode,
    SetNode,
    ShowNode,
    SleepNode,
    StepNode,
    TryNode,
    WaitNode,
)
from actionbus.engine.definition import Definition

DAY_MS = 86_400_000
ONCE = RetryPolicy(attempts=1)


def policy(attempts=3, **fields) -> RetryPolicy:
    """A second before the second attempt, two before the third, and so on, without jitter."""
    return RetryPolicy(**{"attempts": attempts, "jitter": 0, **fields})


def ref(*path) -> dict:
    """A reference."""
    return {"$ref": list(path)}


def step(name, *rules, action=None, input=None, undo=None, **fields) -> StepNode:  # noqa: A002 - the field's name
    """A step; ``undo`` is an action's name, or a call."""
    undo = Call(action=undo, input={}) if isinstance(undo, str) else undo
    return StepNode(id=name, call=Call(action=action or name, input=input or {}), undo=undo, rules=rules, **fields)


def call(action, **given) -> Call:
    """An action with its input."""
    return Call(action=action, input=given)


def emit(name, topic, key=None, value=None) -> EmitNode:
    """A record."""
    return EmitNode(id=name, topic=topic, key=key, value=value)


def sequence(name, *nodes) -> SequenceNode:
    """Nodes one after the other."""
    return SequenceNode(id=name, nodes=nodes)


def sequence_giving(name, output, *nodes) -> SequenceNode:
    """Nodes one after the other, and what they give together."""
    return SequenceNode(id=name, nodes=nodes, output=output)


def put(name, value) -> SetNode:
    """A value."""
    return SetNode(id=name, value=value)


def throw(name, error_type, message="", **fields) -> RaiseNode:
    """A failure."""
    return RaiseNode(id=name, error_type=error_type, message=message, **fields)


def parallel(name, *branches, enough=None) -> ParallelNode:
    """Nodes at the same time."""
    return ParallelNode(id=name, branches=branches, enough=enough)


def choose(name, *cases, otherwise=None) -> ChooseNode:
    """The first case that holds; each is a condition and a node."""
    made = tuple(Case(when=when, then=then) for when, then in cases)
    return ChooseNode(id=name, cases=made, otherwise=otherwise)


def each(name, items, body, **fields) -> MapNode:
    """A node for each item."""
    return MapNode(id=name, items=items, body=body, **fields)


def repeat(name, body, **fields) -> RepeatNode:
    """A node again and again."""
    return RepeatNode(id=name, body=body, **fields)


def wait(name, signal, **fields) -> WaitNode:
    """A signal that is waited for."""
    return WaitNode(id=name, signal=signal, **fields)


def child(name, workflow="other", **fields) -> ChildNode:
    """A run of its own; ``undo`` is a call."""
    return ChildNode(id=name, workflow=workflow, **fields)


def person(name, title="do it", **fields) -> PersonNode:
    """A task for a person; its signal has its id unless another is given."""
    return PersonNode(**{"id": name, "signal": name, "title": title, **fields})


def show(node, name, value) -> ShowNode:
    """A value that the run shows."""
    return ShowNode(id=node, name=name, value=value)


def sleep(name, for_ms=None, until=None) -> SleepNode:
    """Time that passes."""
    return SleepNode(id=name, for_ms=for_ms, until=until)


def block(name, body, *rules, always=None, **fields) -> TryNode:
    """A block with rules."""
    return TryNode(id=name, body=body, rules=rules, always=always, **fields)


def caught(error, then, **fields) -> BlockRule:
    """What follows a block's error; None: any."""
    return BlockRule(error_type=error, then=then, **fields)


def handle(node) -> Handle:
    """Another node instead of the block."""
    return Handle(node=node)


def attempt(name, body) -> TryNode:
    """A block that is undone when it fails; then the run goes on with the error's type."""
    return block(name, body, caught(None, handle(put(f"{name}-why", ref("scope", name, "error", "type")))))


def cel(text, **names) -> dict:
    """An expression."""
    return {"$cel": text, "with": names} if names else {"$cel": text}


def on(error, then, when=None) -> Rule:
    """What follows an error; None: any."""
    return Rule(error_type=error, then=then, when=when)


def retry(attempts=3, **fields) -> Retry:
    """Another attempt."""
    return Retry(policy=policy(attempts, **fields))


def fallback(action, **given) -> Fallback:
    """Something else instead."""
    return Fallback(call=call(action, **given))


def go_on_with(value) -> ContinueWith:
    """A value instead."""
    return ContinueWith(value=value)


COMPENSATE = Compensate()
PAUSE = Pause()
FAIL = Fail()


def action(name, **fields) -> ActionSpec:
    """An action that is tried once unless stated."""
    return ActionSpec(id=name, **{"retry": ONCE, **fields})


def graph(*nodes, actions=(), **fields) -> Graph:
    """A workflow of these nodes; actions that are not given are tried once and have no schema."""
    given = {spec.id: spec for spec in actions}
    made = SequenceNode(id="root", nodes=nodes)
    plain = Graph(name="order", version="1", root=made, actions={})
    for name in _actions(plain):
        given.setdefault(name, action(name))
    return Graph(**{"name": "order", "version": "1", "root": made, "actions": given, **fields})


def workflow(*nodes, limits=DEFAULT_LIMITS, actions=(), **fields) -> Definition:
    """The same, compiled."""
    return compiled(graph(*nodes, actions=actions, **fields), limits)


def compiled(made: Graph, limits=DEFAULT_LIMITS) -> Definition:
    """A graph, compiled."""
    return Definition(made, limits=limits, run_retention_ms=DAY_MS)


def _actions(plain: Graph):
    for _, node, _ in plain.nodes():
        if isinstance(node, StepNode | ChildNode) and node.undo:
            yield node.undo.action
        if isinstance(node, StepNode):
            yield node.call.action
            yield from (rule.then.call.action for rule in node.rules if isinstance(rule.then, Fallback))
