"""A run of its own. While its end, or only its beginning, is waited for, the node has a scope.

What is asked of the other run is written in the transaction that decides it, to the shard of that run, which answers
the same way. So the other run is started exactly once, and its end is heard exactly once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actionbus.contracts import identifiers, payloads
from actionbus.contracts.definitions import Graph
from actionbus.contracts.errors import IdentifierRefused, PayloadRefused
from actionbus.contracts.events import EntryKind
from actionbus.contracts.nodes import ChildNode, GiveUp
from actionbus.contracts.payloads import Json
from actionbus.contracts.requests import ChildReport, RequestKind, WorkflowRequest
from actionbus.contracts.results import ActionError
from actionbus.contracts.run import Compensation, Parent, RunStatus, ScopeState, StepState, StepStatus, TimerKind
from actionbus.engine import failure
from actionbus.engine.shapes.shape import Shape
from actionbus.engine.shapes.step import undo_of
from actionbus.engine.template import Template

if TYPE_CHECKING:  # as in shape.py
    from actionbus.engine.definition import Place
    from actionbus.engine.draft import Draft


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildPlan:
    """Its templates."""

    input: Template
    run_id: Template | None
    undo: Template | None


class ChildShape(Shape):
    """See ``Shape``."""

    outside = True

    def reads(self, node: ChildNode) -> Iterator[Json]:
        """What the other run is given, and what takes it back."""
        yield node.input
        yield node.run_id
        if node.undo is not None:
            yield node.undo.input

    def plan(self, node: ChildNode, graph: Graph) -> ChildPlan:
        """Its templates, looked through."""
        del graph
        return ChildPlan(
            input=Template.of(node.input),
            run_id=Template.maybe(node.run_id),
            undo=None if node.undo is None else Template.of(node.undo.input),
        )

    def enter(self, draft: "Draft", place: "Place", path: str) -> None:
        """Ask for the run, and wait."""
        node: ChildNode = place.node
        plan: ChildPlan = place.plan
        try:
            run_id = _run_id(draft, plan, path)
            given = draft.fill_bytes(plan.input, path)
            undo = undo_of(draft, node.undo.action if node.undo else "", plan.undo, path, draft.incarnation)
            parent = _parent(draft, path, waits=node.wait, depth=_depth(draft) if node.wait else 0)
        except (PayloadRefused, IdentifierRefused) as refused:
            draft.fail(path, failure.refused(failure.INPUT_REFUSED, f"{path}: {refused}"))
            return
        draft.sent.append(
            _request(draft, path, RequestKind.START, run_id, draft.incarnation).replace(
                workflow=node.workflow, version=node.version, payload=given, parent=parent, priority=draft.run.priority
            )
        )
        asked = {"run_id": run_id, "undo": undo and payloads.decode(undo.input)}
        if draft.incarnation:
            asked["incarnation"] = draft.incarnation
        draft.open(path, data=payloads.encode(asked))
        told = {"run_id": run_id, "workflow": node.workflow}
        draft.note(EntryKind.CHILD_STARTED, step=path, data=payloads.encode(told))
        if node.timeout_ms is not None:
            draft.arm(TimerKind.WAKE, draft.now + node.timeout_ms, path)

    def reported(self, draft: "Draft", place: "Place", path: str, report: ChildReport) -> None:
        """What was waited for has come: its end, its beginning if that is enough, or a refusal."""
        node: ChildNode = place.node
        undo = undo_left(draft.scopes[path].data, path, node)
        draft.close(path)
        tell_end(draft, path, report)
        if report.status is RunStatus.COMPLETED:
            if undo is not None:
                draft.compensations = (*draft.compensations, undo.replace(output=report.output))
            draft.finish(path, report.output)
        elif report.status is RunStatus.RUNNING:
            draft.finish(path, payloads.encode({"run_id": report.run_id}))
        else:
            draft.fail(path, report.error or failure.refused(failure.UNREADABLE, f"{report.run_id} gave no reason"))

    def woke(self, draft: "Draft", place: "Place", path: str) -> None:
        """It took too long."""
        scope = draft.scopes[path]
        draft.close(path)
        self.abandoned(draft, place, scope)
        message = f"{path}: the run {child_of(scope.data)} took longer than {place.node.timeout_ms} ms"
        draft.fail(path, ActionError(type=failure.TIMEOUT, message=message, retryable=False))

    def abandoned(self, draft: "Draft", place: "Place", scope: ScopeState) -> None:
        """Do with the other run as the node says; one that is cancelled has to end before anything else is undone."""
        node: ChildNode = place.node
        if node.give_up is GiveUp.LEAVE or not node.wait:
            return
        run_id = child_of(scope.data)
        kind = RequestKind.CANCEL if node.give_up is GiveUp.CANCEL else RequestKind.TERMINATE
        request = _request(draft, scope.path, kind, run_id, _incarnation(scope.data))
        draft.sent.append(request.replace(reason="the run that started it does not need it any more"))
        told = {"run_id": run_id, "asked": kind}
        draft.note(EntryKind.CHILD_GIVEN_UP, step=scope.path, data=payloads.encode(told))
        if node.give_up is GiveUp.CANCEL:
            undoing = StepStatus.COMPENSATING
            draft.keep(StepState(path=scope.path, status=undoing, first_scheduled_at=draft.now, input=scope.data))


def child_of(data: bytes | None) -> str:
    """The id of the run that is waited for; ``data`` is what the node remembers."""
    return payloads.decode(data or b"{}")["run_id"]


def undo_left(data: bytes | None, path: str, node: ChildNode) -> Compensation | None:
    """What takes the run back once it has completed; None when nothing does."""
    undo = payloads.decode(data or b"{}")["undo"]
    if undo is None or node.undo is None:
        return None
    return Compensation(step=path, action=node.undo.action, input=payloads.encode(undo), incarnation=_incarnation(data))


def tell_end(draft: "Draft", path: str, report: ChildReport) -> None:
    """Note how the other run stands, and what it gave."""
    told: dict[str, Json] = {"run_id": report.run_id, "status": report.status}
    if report.output is not None:
        told["output"] = payloads.decode(report.output)
    if report.error is not None:
        told["error"] = failure.as_json(report.error)
    reason = None if report.error is None else f"{report.error.type}: {report.error.message}"
    draft.note(EntryKind.CHILD_ENDED, step=path, data=payloads.encode(told), reason=reason)


def _incarnation(data: bytes | None) -> str:
    """The incarnation in the step key of the node; empty: the run's own."""
    return payloads.decode(data or b"{}").get("incarnation", "")


def _run_id(draft: "Draft", plan: ChildPlan, path: str) -> str:
    if plan.run_id is None:
        return identifiers.child_run_id(draft.run.run_id, draft.incarnation or draft.run.incarnation, path)
    value = draft.fill(plan.run_id, path)
    if not isinstance(value, str):
        raise PayloadRefused(f"a run id is a text, not {value!r:.80}")
    return identifiers.run_id(value)


def _request(draft: "Draft", path: str, kind: RequestKind, run_id: str, incarnation: str) -> WorkflowRequest:
    return WorkflowRequest(
        request_id=f"{draft.key(path, incarnation)}/{kind}",
        run_id=run_id,
        kind=kind,
        parent=_parent(draft, path, waits=True, depth=0),
        requested_by=f"the run {draft.run.run_id}",
        requested_at=draft.now,
    )


def _parent(draft: "Draft", path: str, *, waits: bool, depth: int) -> Parent:
    return Parent(run_id=draft.run.run_id, incarnation=draft.run.incarnation, path=path, waits=waits, depth=depth)


def _depth(draft: "Draft") -> int:
    """How many runs stand above one that is waited for here; raises PayloadRefused when they are too many."""
    above = draft.run.parent
    depth = 1 if above is None or not above.waits else above.depth + 1
    limit = draft.definition.limits.child_depth
    if depth > limit:
        raise PayloadRefused(f"{limit} runs stand above, each waiting for the next: does a workflow start itself?")
    return depth
