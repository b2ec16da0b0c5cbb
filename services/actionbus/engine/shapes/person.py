"""A task for a person: a wait whose signal is a filled form, with an assignee, reminders and a due date.

Its one timer goes from moment to moment: each reminder, the due date, the timeout. The cursor of its scope counts those
that are past.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from actionbus.contracts import payloads
from actionbus.contracts.definitions import Graph
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.events import EntryKind
from actionbus.contracts.payloads import Json
from actionbus.contracts.results import ActionError
from actionbus.contracts.run import ScopeState, TimerKind
from actionbus.engine import failure
from actionbus.engine.shapes.wait import WaitPlan, WaitShape
from actionbus.engine.template import Template

if TYPE_CHECKING:  # as in shape.py
    from actionbus.contracts.nodes import PersonNode
    from actionbus.engine.definition import Place
    from actionbus.engine.draft import Draft


@dataclass(frozen=True, slots=True)
class PersonPlan(WaitPlan):
    """What the person is asked for, and when what happens: milliseconds since it began, in order."""

    title: Template
    assignee: Template
    moments: tuple[tuple[int, EntryKind], ...]


class PersonShape(WaitShape):
    """See ``Shape``."""

    def reads(self, node: Any) -> Iterator[Json]:
        """What it asks for as well."""
        yield from super().reads(node)
        yield node.title
        yield node.assignee

    def plan(self, node: Any, graph: Graph) -> PersonPlan:
        """Its templates and its moments."""
        wait = super().plan(node, graph)
        moments = [(after, EntryKind.TASK_REMINDED) for after in node.remind_after_ms]
        moments += [] if node.due_ms is None else [(node.due_ms, EntryKind.TASK_OVERDUE)]
        moments += [] if node.timeout_ms is None else [(node.timeout_ms, EntryKind.WAIT_ENDED)]
        return PersonPlan(
            accept=wait.accept,
            answer=wait.answer,
            title=Template.of(node.title),
            assignee=Template.of(node.assignee),
            moments=tuple(sorted(moments, key=lambda moment: moment[0])),
        )

    def begin(self, draft: "Draft", place: "Place", path: str) -> None:
        """Ask the person."""
        plan: PersonPlan = place.plan
        node: PersonNode = place.node
        try:
            title = _text(draft.fill(plan.title, path))
            assignee = _text(draft.fill(plan.assignee, path))
        except PayloadRefused as refused:
            draft.refuse(path, failure.INPUT_REFUSED, refused)
            return
        task: dict[str, Json] = {"title": title, "assignee": assignee, "opened_at": draft.now}
        draft.open(path, data=payloads.encode(task))
        due = None if node.due_ms is None else draft.now + node.due_ms
        told = {"signal": node.signal, "title": title, "assignee": assignee, "due_at": due}
        draft.note(EntryKind.TASK_OPENED, step=path, data=payloads.encode(told))
        _arm(draft, plan, draft.scopes[path])

    def signalled(self, draft: "Draft", place: "Place", path: str, payload: bytes) -> None:
        """The form is filled; a reminder that is under way is given up."""
        draft.abandon(path)
        super().signalled(draft, place, path, payload)

    def woke(self, draft: "Draft", place: "Place", path: str) -> None:
        """Remind, say that it is overdue, or give up waiting."""
        plan: PersonPlan = place.plan
        scope = draft.scopes[path]
        _, kind = plan.moments[scope.cursor]
        if kind is EntryKind.WAIT_ENDED:
            draft.abandon(path)
            super().woke(draft, place, path)
            return
        moved = scope.replace(cursor=scope.cursor + 1)
        draft.scopes[path] = moved
        draft.note(kind, step=path, data=payloads.encode({"assignee": task(scope)["assignee"]}))
        _arm(draft, plan, moved)
        if place.node.on_reminder is not None:
            draft.enter(f"{path}[{scope.cursor}]")

    def finished(self, draft: "Draft", place: "Place", path: str, child: str, output: bytes | None) -> None:
        """A reminder is done: the person is waited for as before. Or what follows without the form is done."""
        if not child.endswith("]"):
            super().finished(draft, place, path, child, output)

    def failed(self, draft: "Draft", place: "Place", path: str, child: str, error: ActionError) -> None:
        """A reminder that failed changes nothing."""
        if not child.endswith("]"):
            super().failed(draft, place, path, child, error)
            return
        draft.abandon(child)
        draft.note(EntryKind.BRANCH_GIVEN_UP, step=child, data=failure.as_bytes(error))

    def gives(self, draft: "Draft", place: "Place", path: str, reader: str) -> Json:
        """What is to be done, and by whom."""
        del place, reader
        scope = draft.scopes.get(path)
        if scope is None:
            raise PayloadRefused(f"{path} does not ask anybody any more")
        known = task(scope)
        return {"title": known["title"], "assignee": known["assignee"]}


def task(scope: ScopeState) -> dict[str, Json]:
    """What a person is asked for: title, assignee, opened_at in epoch milliseconds."""
    return payloads.decode(scope.data or b"{}")


def reassigned(scope: ScopeState, assignee: str | None) -> ScopeState:
    """The same task, asked of somebody else."""
    return scope.replace(data=payloads.encode({**task(scope), "assignee": assignee}))


def _arm(draft: "Draft", plan: PersonPlan, scope: ScopeState) -> None:
    if scope.cursor < len(plan.moments):
        after, _ = plan.moments[scope.cursor]
        draft.arm(TimerKind.WAKE, task(scope)["opened_at"] + after, scope.path)


def _text(value: Json) -> str | None:
    if value is not None and not isinstance(value, str):
        raise PayloadRefused(f"a text is expected, not {value!r:.80}")
    return value
