"""One use of an action: dispatched, dispatched again, and the place where its fallback stands in for it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actionbus.contracts import payloads, templates
from actionbus.contracts.decisions import Fallback, RetryPolicy, Rule
from actionbus.contracts.definitions import ActionSpec, Effect, Graph
from actionbus.contracts.errors import DefinitionRefused, InvariantBroken, PayloadRefused
from actionbus.contracts.events import EntryKind
from actionbus.contracts.model import trusted
from actionbus.contracts.nodes import StepNode
from actionbus.contracts.payloads import Json
from actionbus.contracts.results import ActionError
from actionbus.contracts.run import Compensation, HeldKind, StepState, StepStatus, TimerKind
from actionbus.engine import failure, turns
from actionbus.engine.shapes.shape import Shape
from actionbus.engine.template import Template, sized

if TYPE_CHECKING:  # as in shape.py
    from actionbus.engine.definition import Place
    from actionbus.engine.draft import Draft

_step = trusted(StepState)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepPlan:
    """What is known of a step before any run."""

    action: ActionSpec
    input: Template
    undo_action: str
    undo: Template | None
    retry: RetryPolicy
    rules: tuple[Rule, ...]
    conditions: tuple[Template | None, ...]
    start_to_close_ms: int
    schedule_to_start_ms: int | None
    schedule_to_close_ms: int | None
    heartbeat_ms: int | None

    def undo_sees_output(self, *, from_outside: bool) -> bool:
        """Whether the engine has to keep the output for the undo; where there is an inbox the worker reads it there.

        ``from_outside``: no worker gave the output, so no inbox has seen it.
        """
        in_inbox = self.action.effect is Effect.TRANSACTIONAL and not from_outside
        return self.undo is not None and self.undo.reads_made and not in_inbox


class StepShape(Shape):
    """See ``Shape``."""

    def inside(self, node: StepNode) -> Iterator[tuple[str, StepNode]]:
        """Its fallbacks: steps of their own under the id of their action. Their ids hold a dot: nothing reads them."""
        for call in {
            rule.then.call.action: rule.then.call for rule in node.rules if isinstance(rule.then, Fallback)
        }.values():
            yield f".{call.action}", StepNode(id=f"{node.id}.{call.action}", call=call)

    def reads(self, node: StepNode) -> Iterator[Json]:
        """The inputs of the step, its undo and its fallbacks, and the conditions: all asked for before it is done."""
        yield node.call.input
        if node.undo is not None:
            yield node.undo.input
        for rule in node.rules:
            yield rule.when
            if isinstance(rule.then, Fallback):
                yield rule.then.call.input

    def plan(self, node: StepNode, graph: Graph) -> StepPlan:
        """Look its templates through and find its action."""
        spec = graph.actions.get(node.call.action)
        if spec is None:
            raise DefinitionRefused(
                f"step {node.id} uses the action {node.call.action}, which the definition does not hold"
            )
        return StepPlan(
            action=spec,
            input=Template.of(node.call.input),
            undo_action=node.undo.action if node.undo else "",
            undo=Template.of(node.undo.input) if node.undo else None,
            retry=node.retry or spec.retry,
            rules=node.rules,
            conditions=tuple(Template.maybe(rule.when) for rule in node.rules),
            start_to_close_ms=node.start_to_close_ms or spec.start_to_close_ms,
            schedule_to_start_ms=node.schedule_to_start_ms,
            schedule_to_close_ms=node.schedule_to_close_ms,
            heartbeat_ms=node.heartbeat_ms or spec.heartbeat_ms,
        )

    def enter(self, draft: "Draft", place: "Place", path: str) -> None:
        """Schedule the first attempt, and register what undoes the step: a step that times out may have happened."""
        plan: StepPlan = place.plan
        limit = plan.action.limit
        try:
            data = _input(draft, plan, path)
            undo = undo_of(draft, plan.undo_action, plan.undo, path, draft.incarnation)
            turn = None if limit is None else turns.of_step(limit, data)
        except PayloadRefused as refused:
            step = StepState(path=path, status=StepStatus.PENDING, action=plan.action.id, incarnation=draft.incarnation)
            draft.broken(step, failure.refused(failure.INPUT_REFUSED, str(refused)))
            return
        if plan.schedule_to_close_ms is not None:
            draft.arm(TimerKind.SCHEDULE_TO_CLOSE, draft.now + plan.schedule_to_close_ms, path)
        if turn is not None:  # what undoes it is registered when it is dispatched: given up before, it never happened
            step = _step(path=path, status=StepStatus.QUEUED, action=plan.action.id, input=data)
            turns.wait(draft, step.replace(incarnation=draft.incarnation), turn)
            return
        if undo is not None:
            draft.compensations = (*draft.compensations, undo)
        step = _step(
            path=path,
            status=StepStatus.SCHEDULED,
            action=plan.action.id,
            attempt=1,
            dispatch_seq=draft.seq,
            scheduled_at=draft.now,
            first_scheduled_at=draft.now,
            input=data,
            incarnation=draft.incarnation,
        )
        draft.keep(step)
        _wait_for_worker(draft, plan, path)
        draft.tell(EntryKind.STEP_SCHEDULED, step, data)

    def finished(self, draft: "Draft", place: "Place", path: str, child: str, output: bytes | None) -> None:
        """Its fallback is done: the output becomes that of the step."""
        del place, child
        draft.finish(path, output)

    def failed(self, draft: "Draft", place: "Place", path: str, child: str, error: ActionError) -> None:
        """Its fallback failed as well."""
        del place, child
        draft.steps.pop(path, None)
        draft.fail(path, error)


def closes_itself(place: "Place | None") -> bool:
    """Whether what a node did stands in an inbox, where its undo finds it."""
    return place is not None and isinstance(place.plan, StepPlan) and place.plan.action.effect is Effect.TRANSACTIONAL


def plan_of(draft: "Draft", path: str) -> StepPlan:
    """The plan of the step at a run's path."""
    place = draft.definition.place(path)
    if place is None or not isinstance(place.plan, StepPlan):
        raise InvariantBroken(f"run {draft.run.run_id} has a step {path} that its definition does not know")
    return place.plan


def undo_of(draft: "Draft", action: str, undo: Template | None, path: str, incarnation: str) -> Compensation | None:
    """What takes the node at a path back, with everything filled in but what the node makes; None when nothing does.

    ``incarnation``: that in its step key, by which its worker finds what it did. Raises PayloadRefused when a reference
    finds nothing.
    """
    if undo is None:
        return None
    bound = templates.bind(undo.body, draft.roots(undo, path, {}))
    data = sized(payloads.encode(bound), draft.definition.limits)
    return Compensation(step=path, action=action, input=data, incarnation=incarnation)


def again(draft: "Draft", step: StepState) -> None:
    """Schedule the next attempt of a step, or let it wait for its turn; in a paused run, once it is resumed."""
    if draft.paused:
        draft.keep(step.replace(status=StepStatus.BACKING_OFF))
        draft.hold(HeldKind.AGAIN, step.path)
        return
    if step.turn is not None:
        turns.wait(draft, step.replace(status=StepStatus.QUEUED, dispatch_seq=0), step.turn)
        return
    dispatch(draft, step)


def dispatch(draft: "Draft", step: StepState) -> None:
    """Schedule the next attempt of a step now."""
    plan = plan_of(draft, step.path)
    if not step.attempt:
        undo = undo_of(draft, plan.undo_action, plan.undo, step.path, step.incarnation)
        draft.compensations = draft.compensations if undo is None else (*draft.compensations, undo)
    step = step.replace(
        status=StepStatus.SCHEDULED,
        attempt=step.attempt + 1,
        dispatch_seq=draft.seq,
        scheduled_at=draft.now,
        first_scheduled_at=step.first_scheduled_at or draft.now,
    )
    draft.keep(step)
    _wait_for_worker(draft, plan, step.path)
    draft.tell(EntryKind.STEP_SCHEDULED, step, step.input)


def keep_for_undo(draft: "Draft", path: str, output: bytes, *, from_outside: bool) -> None:
    """Keep what a step gave with its compensation, where that reads it."""
    if plan_of(draft, path).undo_sees_output(from_outside=from_outside):
        draft.compensations = tuple(
            undo.replace(output=output) if undo.step == path else undo for undo in draft.compensations
        )


def _wait_for_worker(draft: "Draft", plan: StepPlan, path: str) -> None:
    if plan.schedule_to_start_ms is not None:
        draft.arm(TimerKind.SCHEDULE_TO_START, draft.now + plan.schedule_to_start_ms, path)


def _input(draft: "Draft", plan: StepPlan, path: str) -> bytes:
    more: dict[str, Json] = {}
    failed = draft.steps.get(path.rpartition(".")[0]) if plan.input.reads_error else None
    if failed is not None and failed.error is not None:
        more[templates.ERROR] = failure.as_json(failed.error)
    value = draft.fill(plan.input, path, **more)
    draft.definition.input_of(plan.action.id).check(value)
    return sized(plan.input.constant or payloads.encode(value), draft.definition.limits)
