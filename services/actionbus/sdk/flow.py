"""What a workflow function is given: it writes down each step, in order, as a node of the graph."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar, assert_never

from actionbus.contracts import decisions, identifiers
from actionbus.contracts.decisions import RetryPolicy
from actionbus.contracts.errors import IdentifierRefused
from actionbus.contracts.nodes import EmitNode, StepNode
from actionbus.contracts.templates import ERROR, MADE, STEPS
from actionbus.sdk import duration, fitting, place, shape
from actionbus.sdk.action import TOPIC, Action
from actionbus.sdk.call import Call
from actionbus.sdk.duration import Duration
from actionbus.sdk.place import Place
from actionbus.sdk.reference import Origin, Reference
from actionbus.sdk.retry import Retry
from actionbus.sdk.rule import Failure, OnFailure
from actionbus.sdk.template import Built, Writing

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(slots=True)
class Draft:
    """What has been written down so far."""

    nodes: list[StepNode | EmitNode] = field(default_factory=list[StepNode | EmitNode])
    places: dict[str, Place] = field(default_factory=dict[str, Place])
    actions: dict[str, Action[..., Any]] = field(default_factory=dict[str, Action[..., Any]])


class Flow:
    """Writes steps down. It exists only while its workflow function is read."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft

    def run(
        self,
        call: Call[R],
        *,
        id: str | None = None,  # noqa: A002 - the user's word
        undo: Callable[[R], Call[Any]] | None = None,
        on_failure: Sequence[OnFailure[R]] = (),
        retry: Retry | None = None,
        timeout: Duration | None = None,
        schedule_to_close: Duration | None = None,
    ) -> R:
        """Add a step that runs an action, and give a reference to what it will give.

        ``undo`` writes the call that takes the step back, from what the step made. ``on_failure`` are the decisions,
        tried in order; without a match the step is retried, then the run is undone. ``retry`` and ``timeout`` (of one
        attempt) replace the action's own; ``schedule_to_close`` limits all attempts together. The step's id is the
        action's id unless ``id`` is given. Raises DefinitionRefused, naming the line.
        """
        at = place.here()
        writing = Writing(at, (self._draft,))
        if not isinstance(call, Call):  # pyright: ignore[reportUnnecessaryIsInstance] - users without a type checker
            raise writing.refusal(f"flow.run takes a call of an action, as in flow.run(create_user(...)), not {call!r}")
        step = self._claim(id, call.action.id, writing, f'flow.run({call.action.id}(...), id="...")')
        self._draft.nodes.append(
            StepNode(
                id=step,
                call=self._call(call, writing),
                undo=None if undo is None else self._undo(step, call.action, undo, writing),
                retry=None if retry is None else retry.policy,
                rules=tuple(self._rule(each, call.action) for each in on_failure),
                start_to_close_ms=_limit(timeout, "timeout", writing),
                schedule_to_close_ms=_limit(schedule_to_close, "schedule_to_close", writing),
            )
        )
        returns = call.action.signature.returns
        return _standing_for(Origin((STEPS, step), returns, shape.of(returns, "given"), self._draft))

    def emit(self, topic: str, *, key: Any = None, value: Any = None, id: str | None = None) -> None:  # noqa: A002 - the user's word
        """Add a record that is published to a topic when the run gets here: exactly once. Raises DefinitionRefused."""
        writing = Writing(place.here(), (self._draft,))
        if TOPIC.fullmatch(topic) is None:
            raise writing.refusal(f"{topic!r} is no topic name: use 1 to 249 of A-Z a-z 0-9 . _ -")
        default = re.sub(r"[^a-z0-9]+", "-", f"emit-{topic.lower()}").strip("-")
        node = self._claim(id, default, writing, 'flow.emit(..., id="...")')
        self._draft.nodes.append(
            EmitNode(id=node, topic=topic, key=writing.open(key, "key")[0], value=writing.open(value, "value")[0])
        )

    def output(self, model: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """A model whose fields are values and references: to be returned, or passed to an action."""
        at = place.here()
        if args:
            raise Writing(at, ()).refusal("flow.output takes the model and its fields by name")
        return Built(model, dict(kwargs), at)  # type: ignore[return-value] - it stands for an R

    def _claim(self, given: str | None, default: str, writing: Writing, how: str) -> str:
        try:
            step = identifiers.name("step id", default if given is None else given)
        except IdentifierRefused as error:
            raise writing.refusal(str(error)) from None
        if step in self._draft.places:
            raise writing.refusal(
                f"there is a step {step} already, at {self._draft.places[step]}: give this one an id of its own, {how}"
            )
        self._draft.places[step] = writing.at
        return step

    def _use(self, action: Action[..., Any], writing: Writing) -> None:
        other = self._draft.actions.setdefault(action.id, action)
        if other is not action:
            raise writing.refusal(f"two actions have the id {action.id}: {other.declared_at} and {action.declared_at}")

    def _call(self, call: Call[Any], writing: Writing) -> decisions.Call:
        self._use(call.action, writing)
        return decisions.Call(action=call.action.id, input=writing.call(call.take()))

    def _undo(
        self, step: str, action: Action[..., Any], undo: Callable[[Any], Call[Any]], writing: Writing
    ) -> decisions.Call:
        scope = object()
        returns = action.signature.returns
        made = Origin((MADE,), returns, shape.of(returns, "given"), scope, unseen=action.store is None)
        try:
            call = undo(_standing_for(made))
        except NameError as error:
            raise writing.refusal(
                f"undo of {step}: {error}: an undo is written before its step has a name, so read what the step made "
                "from its parameter, as in undo=lambda made: delete(id=made.id)"
            ) from error
        if not isinstance(call, Call):  # pyright: ignore[reportUnnecessaryIsInstance] - users without a type checker
            raise writing.refusal(
                f"undo of {step} gives {call!r}: it must give a call, as in undo=lambda made: delete(id=made.id)"
            )
        if action.store is not None and call.action.store != action.store:
            raise writing.refusal(
                f"{call.action.id} cannot undo {action.id}: the step commits in the store {action.store}, so its undo "
                f'must be transactional in the same store: declare {call.action.id} with effect="transactional", '
                f'store="{action.store}"'
            )
        return self._call(call, Writing(call.place, (self._draft, scope)))

    def _rule(self, rule: OnFailure[Any], action: Action[..., Any]) -> decisions.Rule:
        writing = Writing(rule.place, (self._draft,))
        return decisions.Rule(error_type=rule.error_type, then=self._resolution(rule, action, writing))

    def _fallback(self, rule: OnFailure[Any], action: Action[..., Any], writing: Writing) -> decisions.Fallback:
        scope = object()
        call = rule.fallback
        if callable(call):
            call = call(_standing_for(Origin((ERROR,), Failure, shape.of(Failure, "given"), scope)))
        if not isinstance(call, Call):
            raise writing.refusal(f"the fallback of {action.id} is {call!r}: it must be a call of an action")
        given = shape.of(call.action.signature.returns, "given")
        wrong = fitting.mismatch(given, shape.of(action.signature.returns, "given"))
        if wrong is not None:
            raise writing.refusal(f"{call.action.id} cannot stand in for {action.id}: {wrong}")
        return decisions.Fallback(call=self._call(call, Writing(call.place, (self._draft, scope))))

    def _resolution(self, rule: OnFailure[Any], action: Action[..., Any], writing: Writing) -> decisions.Resolution:
        returns = action.signature.returns
        match rule.then:
            case "retry":
                return decisions.Retry(policy=RetryPolicy() if rule.policy is None else rule.policy.policy)
            case "fallback":
                return self._fallback(rule, action, writing)
            case "continue_with":
                return decisions.ContinueWith(value=writing.constant(rule.value, returns, "continue_with"))
            case "compensate":
                return decisions.Compensate()
            case "fail":
                return decisions.Fail()
            case _ as never:
                assert_never(never)


def _standing_for(origin: Origin) -> Any:
    """A reference, which the type checker takes for the value itself."""
    return Reference(origin)


def _limit(value: Duration | None, what: str, writing: Writing) -> int | None:
    if value is None:
        return None
    found = duration.milliseconds(value, what=what)
    if found == 0:
        raise writing.refusal(f"{what} of nothing would fail every attempt")
    return found
