"""Whether a graph can be run as it is written: every mistake named at once, before anything is deployed.

How a graph is run stands in ``engine``; what cannot be known before a topic or a database is met, nowhere here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, assert_never

from actionbus.contracts import identifiers, payloads, templates
from actionbus.contracts.definitions import (
    ActionSpec,
    Call,
    Effect,
    EmitNode,
    Fallback,
    Graph,
    Retry,
    RetryPolicy,
    SequenceNode,
    StepNode,
)
from actionbus.contracts.errors import DefinitionRefused, IdentifierRefused, PayloadRefused
from actionbus.contracts.limits import Limits
from actionbus.contracts.payloads import Json
from actionbus.contracts.validation import Schema

_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
_STEP: Final = (templates.INPUT, templates.STEPS)
_UNDO: Final = (*_STEP, templates.MADE)
_FALLBACK: Final = (*_STEP, templates.ERROR)


def check(graph: Graph, limits: Limits) -> None:
    """Raise DefinitionRefused with every mistake of a graph, each in one sentence that says where it is."""
    mistakes = [*_size(graph, limits)]
    if not mistakes:  # a graph beyond its limits is not walked through
        mistakes = [*_names(graph), *_actions(graph), *_nodes(graph), *_policy("undo_retry", graph.undo_retry)]
    if mistakes:
        listed = "".join(f"\n- {mistake}" for mistake in mistakes)
        raise DefinitionRefused(f"the workflow {graph.name} cannot be run as it is written:{listed}")


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
    yield from _grammar("workflow id", graph.name)
    try:
        identifiers.version(graph.version)
    except IdentifierRefused as refused:
        yield str(refused)
    yield from _schema("the workflow's input", graph.input_schema)
    yield from _schema("the workflow's output", graph.output_schema)


def _grammar(what: str, text: str) -> Iterator[str]:
    try:
        identifiers.name(what, text)
    except IdentifierRefused as refused:
        yield str(refused)


def _schema(what: str, schema: Json) -> Iterator[str]:
    try:
        Schema(schema)
    except DefinitionRefused as refused:
        yield f"{what}: {refused}"


def _actions(graph: Graph) -> Iterator[str]:
    for key, spec in graph.actions.items():
        yield from _grammar("action id", spec.id)
        if key != spec.id:
            yield f"the action {spec.id} stands under the name {key}"
        yield from _schema(f"the input of action {key}", spec.input_schema)
        yield from _schema(f"the output of action {key}", spec.output_schema)
        yield from _policy(f"action {key}", spec.retry)
        for topic in spec.emits:
            yield from _topic(f"action {key}", topic)


def _nodes(graph: Graph) -> Iterator[str]:
    kinds = {node.id: node.kind for _, node, _ in graph.nodes()}
    seen: set[str] = set()
    readable = _Readable(kinds, seen)  # grows with what was walked past
    for path, node, _ in graph.nodes():
        yield from _grammar(f"{node.kind} id", node.id)
        if node.id in seen:
            yield f"{node.kind} {path}: the id {node.id} is there twice: give one of them an id of its own"
        match node:
            case StepNode():
                yield from _step(graph, path, node, readable)
            case EmitNode():
                yield from _topic(f"emit {path}", node.topic)
                yield from _template(f"emit {path}", node.key, _STEP, readable)
                yield from _template(f"emit {path}", node.value, _STEP, readable)
            case SequenceNode():
                pass
            case _:
                assert_never(node)
        seen.add(node.id)
    yield from _template("the output", graph.output, _STEP, readable)


@dataclass(frozen=True, slots=True)
class _Readable:
    """What a template may read: the ids of the nodes before it, and the kinds of all."""

    kinds: dict[str, str]
    before: set[str]


def _step(graph: Graph, path: str, node: StepNode, readable: _Readable) -> Iterator[str]:
    where = f"step {path}"
    yield from _call(graph, where, node.call, _STEP, readable)
    if node.retry is not None:
        yield from _policy(where, node.retry)
    if node.undo is not None:
        yield from _call(graph, f"{where}, undo", node.undo, _UNDO, readable)
        yield from _store(where, graph.actions.get(node.call.action), graph.actions.get(node.undo.action))
    for number, rule in enumerate(node.rules, start=1):
        match rule.then:
            case Fallback(call=call):
                yield from _call(graph, f"{where}, rule {number}", call, _FALLBACK, readable)
            case Retry(policy=policy):
                yield from _policy(f"{where}, rule {number}", policy)
            case _:
                pass


def _call(graph: Graph, where: str, call: Call, roots: tuple[str, ...], readable: _Readable) -> Iterator[str]:
    if call.action not in graph.actions:
        known = ", ".join(sorted(graph.actions)) or "none"
        yield f"{where}: there is no action {call.action} in this definition; it holds {known}"
    yield from _template(where, call.input, roots, readable)


def _store(where: str, step: ActionSpec | None, undo: ActionSpec | None) -> Iterator[str]:
    """An inbox row closes the step before it is undone, so both have to be one database transaction."""
    if step is None or undo is None or step.effect is not Effect.TRANSACTIONAL:
        return
    if undo.effect is not Effect.TRANSACTIONAL:
        yield (
            f"{where}: {step.id} is transactional, so the action that undoes it has to be transactional too; "
            f"{undo.id} is {undo.effect}"
        )
    elif undo.store != step.store:
        yield (
            f"{where}: {step.id} writes to the store {step.store or 'default'}, but {undo.id}, which undoes it, to "
            f"{undo.store or 'default'}: both have to use one store"
        )


def _template(where: str, template: Json, roots: tuple[str, ...], readable: _Readable) -> Iterator[str]:
    malformed = [*_malformed(template)]
    if malformed:
        yield from (f"{where}: {each}" for each in malformed)
        return
    try:
        payloads.encode(template)
    except PayloadRefused as refused:
        yield f"{where}: {refused}"
    for path in templates.references(template):
        yield from _reference(where, path, roots, readable)


def _malformed(template: Json) -> Iterator[str]:
    waiting = [template]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict) and len(value) == 1 and templates.REF in value:
            path = value[templates.REF]
            parts = path if isinstance(path, list) else []
            if not parts or not isinstance(parts[0], str) or not all(isinstance(part, str | int) for part in parts):
                yield f"{payloads.encode(value).decode()} is no reference: its value has to be a list of keys"
        elif isinstance(value, dict) and not (len(value) == 1 and templates.LITERAL in value):
            waiting.extend(value.values())


def _reference(where: str, path: templates.Path, roots: tuple[str, ...], readable: _Readable) -> Iterator[str]:
    text = ".".join(str(part) for part in path)
    if path[0] not in roots:
        yield f"{where}: nothing is known here by the name {path[0]} (in {text}): use {', '.join(roots)}"
    elif path[0] == templates.STEPS:
        step = str(path[1]) if len(path) > 1 else ""
        if not step:
            yield f"{where}: {text} names no step"
        elif step not in readable.kinds:
            yield f"{where}: {text} reads the step {step}, which is not there"
        elif readable.kinds[step] != "step":
            yield f"{where}: {text} reads {step}, but a node of the kind {readable.kinds[step]} gives no output"
        elif step not in readable.before:
            hint = "; an undo reads its own step as made" if templates.MADE in roots else ""
            yield f"{where}: {text} reads a step that is not finished by then: only earlier steps can be read{hint}"


def _policy(where: str, policy: RetryPolicy) -> Iterator[str]:
    if policy.delays_ms is not None and any(delay < 0 for delay in policy.delays_ms):
        yield f"{where}: a delay before the next attempt cannot be negative"


def _topic(where: str, topic: str) -> Iterator[str]:
    if _TOPIC.fullmatch(topic) is None or topic in (".", ".."):
        yield f"{where}: {topic!r} is no topic name: use 1 to 249 of A-Z a-z 0-9 . _ -"
