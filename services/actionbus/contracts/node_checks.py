"""Whether one node can be carried out as it is written: a function for each kind, each mistake a sentence."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from actionbus.contracts import identifiers, moments, schedules
from actionbus.contracts.decisions import Call, Fallback, Retry, RetryPolicy, Rule
from actionbus.contracts.definitions import ActionSpec, Effect, Graph
from actionbus.contracts.errors import DefinitionRefused, IdentifierRefused, PayloadRefused
from actionbus.contracts.limits import Limits
from actionbus.contracts.nodes import (
    BlockRule,
    ChildNode,
    ChooseNode,
    EmitNode,
    MapNode,
    Node,
    ParallelNode,
    PersonNode,
    RaiseNode,
    RepeatNode,
    ScheduleNode,
    SequenceNode,
    SetNode,
    ShowNode,
    SleepNode,
    StepNode,
    TryNode,
    WaitNode,
)
from actionbus.contracts.payloads import Json
from actionbus.contracts.reading import FALLBACK, PLAIN, RULE, SIGNALLED, UNDO, Reading
from actionbus.contracts.validation import Schema


@dataclass(frozen=True, slots=True)
class NodeChecks:
    """What the nodes of a graph are checked against."""

    graph: Graph
    limits: Limits
    reading: Reading

    def mistakes(self, path: str, node: Node) -> Iterator[str]:  # noqa: C901, PLR0912 - a table of cases
        """Everything that is wrong with a node; the nodes inside it are not looked at."""
        where = f"{node.kind} {path}"
        yield from grammar(f"{node.kind} id", node.id)
        match node:
            case StepNode():
                yield from self._step(where, path, node)
            case EmitNode():
                yield from topic(where, node.topic)
                yield from self.reading.mistakes(where, node.key, path)
                yield from self.reading.mistakes(where, node.value, path)
            case SetNode():
                yield from self.reading.mistakes(where, node.value, path)
            case ShowNode():
                yield from grammar("name", node.name)
                yield from self.reading.mistakes(where, node.value, path)
            case RaiseNode():
                yield from self._raise(where, path, node)
            case SequenceNode():
                yield from self.reading.mistakes(f"{where}, output", node.output, path)
            case ChooseNode():
                yield from self._choose(where, path, node)
            case ParallelNode():
                yield from self._parallel(where, node)
            case MapNode():
                yield from self._map(where, path, node)
            case RepeatNode():
                for condition in (node.while_, node.until):
                    yield from self._condition(where, condition, path)
            case WaitNode():
                yield from self._waiting(where, path, node)
            case PersonNode():
                yield from self._waiting(where, path, node)
                yield from self._person(where, path, node)
            case SleepNode():
                yield from self._sleep(where, path, node)
            case ChildNode():
                yield from self._child(where, path, node)
            case ScheduleNode():
                yield f"{where}: only actionbus itself has such a node: start a run of {schedules.WORKFLOW} instead"
            case TryNode():
                yield from self._try(where, path, node)
            case _:
                assert_never(node)

    def _condition(self, where: str, template: Json, path: str, roots: tuple[str, ...] = PLAIN) -> Iterator[str]:
        """A condition that is not there always holds; what can never be true or false is no condition."""
        if template is None:
            return
        if not isinstance(template, bool | dict):
            yield f"{where}: a condition is an expression or a reference that gives true or false, not {template!r:.40}"
        yield from self.reading.mistakes(where, template, path, roots)

    def _step(self, where: str, path: str, node: StepNode) -> Iterator[str]:
        yield from self._call(where, node.call, path)
        if node.retry is not None:
            yield from policy(where, node.retry)
        if node.undo is not None:
            yield from self._known(f"{where}, undo", node.undo)
            yield from self.reading.mistakes(f"{where}, undo", node.undo.input, path, UNDO)
            yield from _store(where, self.graph.actions.get(node.call.action), self.graph.actions.get(node.undo.action))
        for number, rule in enumerate(node.rules, start=1):
            at = f"{where}, rule {number}"
            yield from self._rule(at, path, rule)
            if isinstance(rule.then, Fallback):
                yield from self._known(at, rule.then.call)
                yield from self.reading.mistakes(at, rule.then.call.input, path, FALLBACK)

    def _rule(self, where: str, path: str, rule: Rule | BlockRule) -> Iterator[str]:
        yield from self._condition(where, rule.when, path, RULE)
        if isinstance(rule.then, Retry):
            yield from policy(where, rule.then.policy)

    def _call(self, where: str, call: Call, path: str) -> Iterator[str]:
        yield from self._known(where, call)
        yield from self.reading.mistakes(where, call.input, path)

    def _known(self, where: str, call: Call) -> Iterator[str]:
        if call.action not in self.graph.actions:
            known = ", ".join(sorted(self.graph.actions)) or "none"
            yield f"{where}: there is no action {call.action} in this definition; it holds {known}"

    def _raise(self, where: str, path: str, node: RaiseNode) -> Iterator[str]:
        if identifiers.ERROR_TYPE.fullmatch(node.error_type) is None:
            yield f"{where}: {node.error_type!r} is no error type: use a name such as CardRefused"
        yield from self.reading.mistakes(where, node.message, path)
        yield from self.reading.mistakes(where, node.details, path)

    def _choose(self, where: str, path: str, node: ChooseNode) -> Iterator[str]:
        if not node.cases:
            yield f"{where}: it has no case to choose"
        for number, case in enumerate(node.cases, start=1):
            if case.when is None:
                yield f"{where}, case {number}: it has no condition: what follows without one is otherwise"
            yield from self._condition(f"{where}, case {number}", case.when, path)

    def _parallel(self, where: str, node: ParallelNode) -> Iterator[str]:
        if node.enough is not None and node.enough > len(node.branches):
            yield f"{where}: {node.enough} of {len(node.branches)} branches can never succeed"

    def _map(self, where: str, path: str, node: MapNode) -> Iterator[str]:
        yield from self.reading.mistakes(f"{where}, items", node.items, path)
        if node.concurrency > self.limits.map_concurrency:
            yield f"{where}: {node.concurrency} items at a time are more than {self.limits.map_concurrency}"

    def _waiting(self, where: str, path: str, node: WaitNode | PersonNode) -> Iterator[str]:
        yield from grammar("signal", node.signal)
        yield from schema(f"{where}, the payload", node.payload_schema)
        yield from self._condition(f"{where}, accept", node.accept, path, SIGNALLED)
        yield from self.reading.mistakes(f"{where}, answer", node.answer, path, SIGNALLED)
        if node.on_timeout is not None and node.timeout_ms is None:
            yield f"{where}: on_timeout never follows without a timeout"

    def _person(self, where: str, path: str, node: PersonNode) -> Iterator[str]:
        yield from self.reading.mistakes(f"{where}, title", node.title, path)
        yield from self.reading.mistakes(f"{where}, assignee", node.assignee, path)
        if node.on_reminder is not None and node.due_ms is None and not node.remind_after_ms:
            yield f"{where}: on_reminder never follows without remind_after_ms or due_ms"
        if node.on_reminder is not None and any(getattr(each, "undo", None) for each in _within(node.on_reminder)):
            yield f"{where}: what reminds is not taken back: leave out the undos of its steps"
        last = node.timeout_ms
        if last is not None and any(each >= last for each in (*node.remind_after_ms, node.due_ms or 0)):
            yield f"{where}: a reminder and the due date come before the timeout, or never"

    def _sleep(self, where: str, path: str, node: SleepNode) -> Iterator[str]:
        if (node.for_ms is None) == (node.until is None):
            yield f"{where}: say either how long (for_ms) or until when (until)"
        yield from self.reading.mistakes(where, node.for_ms, path)
        yield from self.reading.mistakes(where, node.until, path)
        try:
            if node.for_ms is not None and not isinstance(node.for_ms, dict):
                moments.length(node.for_ms)
            if node.until is not None and not isinstance(node.until, dict):
                moments.moment(node.until)
        except PayloadRefused as refused:
            yield f"{where}: {refused}"

    def _child(self, where: str, path: str, node: ChildNode) -> Iterator[str]:
        yield from grammar("workflow", node.workflow)
        if node.version is not None:
            yield from version(node.version)
        yield from self.reading.mistakes(f"{where}, input", node.input, path)
        yield from self.reading.mistakes(f"{where}, run_id", node.run_id, path)
        if node.undo is not None:
            yield from self._known(f"{where}, undo", node.undo)
            yield from self.reading.mistakes(f"{where}, undo", node.undo.input, path, UNDO)
            if not node.wait:
                yield f"{where}: a run that is not waited for cannot be undone: leave out undo, or wait for it"

    def _try(self, where: str, path: str, node: TryNode) -> Iterator[str]:
        for number, rule in enumerate(node.rules, start=1):
            yield from self._rule(f"{where}, rule {number}", path, rule)


def _within(node: Node) -> Iterator[Node]:
    """A node and all inside it."""
    yield node
    for _, each in node.inside():
        yield from _within(each)


def grammar(what: str, text: str) -> Iterator[str]:
    """Why a text is no id."""
    try:
        identifiers.name(what, text)
    except IdentifierRefused as refused:
        yield str(refused)


def version(text: str) -> Iterator[str]:
    """Why a text is no version of a workflow."""
    try:
        identifiers.version(text)
    except IdentifierRefused as refused:
        yield str(refused)


def schema(what: str, given: Json) -> Iterator[str]:
    """Why something is no JSON Schema."""
    try:
        Schema(given)
    except DefinitionRefused as refused:
        yield f"{what}: {refused}"


def policy(where: str, given: RetryPolicy) -> Iterator[str]:
    """Why a retry policy cannot be followed."""
    if given.delays_ms is not None and any(delay < 0 for delay in given.delays_ms):
        yield f"{where}: a delay before the next attempt cannot be negative"


def topic(where: str, name: str) -> Iterator[str]:
    """Why a text is no topic."""
    if identifiers.TOPIC.fullmatch(name) is None or name in (".", ".."):
        yield f"{where}: {name!r} is no topic name: use 1 to 249 of A-Z a-z 0-9 . _ -"


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
