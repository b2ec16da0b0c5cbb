"""Small workflows for tests of the engine, written as short as they read."""

from actionbus.contracts.definitions import (
    ActionSpec,
    Call,
    Compensate,
    ContinueWith,
    EmitNode,
    Fail,
    Fallback,
    Graph,
    Retry,
    RetryPolicy,
    Rule,
    SequenceNode,
    StepNode,
)
from actionbus.contracts.limits import DEFAULT_LIMITS
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


def on(error, then) -> Rule:
    """What follows an error; None: any."""
    return Rule(error_type=error, then=then)


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
    return Definition(graph(*nodes, actions=actions, **fields), limits=limits, run_retention_ms=DAY_MS)


def _actions(plain: Graph):
    for _, node, _ in plain.nodes():
        if isinstance(node, StepNode):
            yield node.call.action
            if node.undo:
                yield node.undo.action
            yield from (rule.then.call.action for rule in node.rules if isinstance(rule.then, Fallback))
