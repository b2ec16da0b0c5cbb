"""The working copy of a run inside one call of ``advance``; at the end it becomes the frozen run, once."""

from collections import deque
from collections.abc import Callable
from typing import Any

from actionbus.contracts import identifiers, payloads, templates
from actionbus.contracts.errors import InvariantBroken, PayloadRefused
from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.contracts.limits import Limits
from actionbus.contracts.model import trusted
from actionbus.contracts.payloads import Json
from actionbus.contracts.requests import WorkflowRequest
from actionbus.contracts.results import ActionError, Emit
from actionbus.contracts.run import (
    UNDER_WAY,
    Decision,
    Held,
    HeldKind,
    RunStatus,
    ScopeState,
    StepState,
    StepStatus,
    Timer,
    TimerKind,
    WorkflowRun,
)
from actionbus.engine import failure
from actionbus.engine.definition import Definition
from actionbus.engine.moves import Broken, Enter, Failed, Finished, Move, Resolve, Undone, Unwind, where
from actionbus.engine.paths import below, static
from actionbus.engine.template import Template, sized
from actionbus.engine.transition import Outcome, Transition

_entry, _event, _scope = trusted(EventEntry), trusted(WorkflowEvent), trusted(ScopeState)


class Draft:
    """A run being changed. Fields have the meaning they have in ``WorkflowRun``; steps and scopes are kept by path."""

    __slots__ = (
        "_values", "answered", "compensations", "decisions", "definition", "emits", "ending", "entries", "error",
        "held", "input", "moved", "moves", "next_timer", "now", "output", "paces", "requests", "rewound", "run",
        "scopes", "sent", "seq", "signals", "status", "steps", "timers", "turn", "views",
    )  # fmt: skip

    def __init__(self, definition: Definition, run: WorkflowRun, now: int, seq: int) -> None:
        if run.definition_hash != definition.hash:
            raise InvariantBroken(f"run {run.run_id} is pinned to another definition than {definition.name} as given")
        self.definition = definition
        self.run = run
        self.now = now
        self.seq = seq
        self.status = run.status
        self.ending = run.ending
        self.input = run.input
        self.output = run.output
        self.error = run.error
        self.scopes = {scope.path: scope for scope in run.scopes}
        self.steps = {step.path: step for step in run.steps}
        self.timers = run.timers
        self.compensations = run.compensations
        self.decisions = run.decisions
        self.answered = run.answered
        self.signals = run.signals
        self.views = run.views
        self.held = run.held
        self.requests = run.requests
        self.turn = run.turn
        self.paces = run.paces
        self.next_timer = run.next_timer
        self.rewound = run.rewound
        self.moves: deque[Move] = deque()
        self.moved = 0
        self.entries: list[EventEntry] = []
        self.emits: list[Emit] = []
        self.sent: list[WorkflowRequest] = []  # to other runs
        self._values: dict[str, Json] = {}
        stuck = self.steps.get(run.incident.step or "") if run.incident is not None else None
        if run.incident is not None and stuck is not None and stuck.stuck is None:
            self.keep(stuck.replace(stuck=run.incident.reason))  # version 0.1.0 said only there what is stuck

    @property
    def incarnation(self) -> str:
        """The incarnation in the step keys of what begins now; empty: the run's own.

        What was undone is closed for ever under its key, so that what runs again after a rewind has another one.
        """
        return f"{self.run.incarnation}.{self.rewound}" if self.rewound else ""

    def key(self, path: str, incarnation: str) -> str:
        """The step key of a node that began with an incarnation, which may be empty."""
        return identifiers.step_key(self.run.run_id, incarnation or self.run.incarnation, path)

    # What follows

    @property
    def busy(self) -> bool:
        """Whether this transition has taken so long that what could go on without end has to wait for another."""
        return self.moved >= self.definition.limits.moves_per_transition

    def enter(self, path: str) -> None:
        """Let the node at a path begin."""
        self.moves.append(Enter(path))

    def finish(self, path: str, output: bytes | None = None) -> None:
        """Let what is around the node at a path know that it is done."""
        self.moves.append(Finished(path, output))

    def fail(self, path: str, error: ActionError) -> None:
        """Let what is around the node at a path know that it failed for good."""
        self.moves.append(Failed(path, error))

    def refuse(self, path: str, kind: str, why: PayloadRefused) -> None:
        """Let the node at a path fail for a value that cannot be made; ``kind`` is one of the types in ``failure``."""
        self.fail(path, failure.refused(kind, f"{path}: {why}"))

    def broken(self, step: StepState, error: ActionError) -> None:
        """Let a step's rules decide what follows the failure of its current attempt."""
        self.moves.append(Broken(step, error))

    def resolve(self, path: str) -> None:
        """Go on after a step that failed for good, as its rule says."""
        self.moves.append(Resolve(path))

    def undone(self, step: StepState) -> None:
        """A step is undone that a rule goes on after."""
        self.moves.append(Undone(step))

    def unwind(self, path: str, below: str, *, begun: bool = False) -> None:
        """Undo what was done below a path, last first; when nothing is left, let the node at ``path`` know.

        ``below`` is the path of a node directly inside ``path``, which was abandoned; for the root, the root itself.
        ``begun``: only wait for what is being undone already.
        """
        self.moves.append(Unwind(path, below, begun))

    # Values

    def fill(self, template: Template, reader: str, **more: Json) -> Json:
        """The value of a template for the node at the path ``reader``; ``more`` gives further roots.

        Raises PayloadRefused when a reference finds nothing.
        """
        return templates.fill(template.body, self.roots(template, reader, more))

    def fill_bytes(self, template: Template, reader: str, **more: Json) -> bytes:
        """The same as canonical JSON; also raises PayloadRefused when it is larger than a payload may be."""
        data = template.constant or payloads.encode(self.fill(template, reader, **more))
        return sized(data, self.definition.limits)

    def roots(self, template: Template, reader: str, more: dict[str, Json]) -> dict[str, Json]:
        """What the references of a template may start from."""
        roots = more
        if template.reads_input:
            roots[templates.INPUT] = payloads.decode(self.input) if self.input is not None else None
        if template.steps:
            roots[templates.STEPS] = {step: self._value(step, reader) for step in template.steps}
        if template.scopes:
            roots[templates.SCOPE] = {scope: self._given(scope, reader) for scope in template.scopes}
        return roots

    def holds(self, condition: Template, reader: str, **more: Json) -> bool:
        """Whether a condition holds; raises PayloadRefused when it is neither true nor false."""
        value = self.fill(condition, reader, **more)
        if not isinstance(value, bool):
            raise PayloadRefused(f"a condition has to be true or false, not {value!r:.80}")
        return value

    def know(self, path: str, value: Json) -> None:
        """Remember the decoded output of a step for the rest of this transition."""
        self._values[path] = value

    def _value(self, step: str, reader: str) -> Json:
        path = self.definition.source(step, reader)
        if path not in self._values:
            state = self.steps.get(path)
            if state is None or state.status is not StepStatus.SUCCEEDED:
                raise PayloadRefused(f"the step {step} has no output")
            self._values[path] = payloads.decode(state.output) if state.output is not None else None
        return self._values[path]

    def _given(self, scope: str, reader: str) -> Json:
        path = self.definition.source(scope, reader)
        place = self.definition.places[static(path)]
        return place.shape.gives(self, place, path, reader)

    # Timers

    def arm(self, kind: TimerKind, due_at: int, step: str | None = None) -> None:
        """Set a timer."""
        self.timers = (*self.timers, Timer(id=self.next_timer, kind=kind, step=step, due_at=due_at))
        self.next_timer += 1

    def disarm(self, step: str, *kinds: TimerKind) -> None:
        """Remove a step's timers: those of the given kinds, or all."""
        if self.timers:
            self.timers = tuple(
                timer for timer in self.timers if timer.step != step or (kinds and timer.kind not in kinds)
            )

    def due_at(self, step: str, kind: TimerKind) -> int | None:
        """When a step's timer of that kind is due, or None when it has none."""
        return next((timer.due_at for timer in self.timers if timer.step == step and timer.kind is kind), None)

    # Steps and scopes

    def keep(self, step: StepState) -> None:
        """Store a step's state under its path."""
        self.steps[step.path] = step

    def open(self, path: str, cursor: int = 0, data: bytes | None = None, **more: bytes | None) -> None:
        """Store the state of a node that is under way."""
        self.scopes[path] = _scope(path=path, cursor=cursor, data=data, **more)

    def close(self, path: str) -> None:
        """Forget the state of a node that is not under way any more, and its timers."""
        self.scopes.pop(path, None)
        self.disarm(path)

    def abandon(self, path: str) -> None:
        """Give up the node at a path with everything inside: live steps, timers, kept outputs, scopes and moves.

        Compensations stay registered, and an undo that is under way goes on, in a paused run once it is resumed:
        ``unwind`` waits for it, and for other runs that have to end first.
        """
        self.abandon_all(lambda each: below(each, path))

    def abandon_all(self, among: Callable[[str], bool]) -> None:
        """The same for all nodes whose path is among those that are given up; what is around one of them is not."""
        self.moves = deque(move for move in self.moves if not among(where(move)))
        undoing: set[str] = set()
        for step in [each for each in self.steps.values() if among(each.path)]:
            if step.status in UNDER_WAY:
                self.tell(EntryKind.STEP_CANCELLED, step)
            if step.status is StepStatus.COMPENSATING:
                self.keep(step.replace(resolution=None))
                undoing.add(step.path)
            else:
                self.unstick(step)
                del self.steps[step.path]
        self.held = tuple(
            each
            for each in self.held
            if not among(each.below or each.path) or (each.kind is HeldKind.AGAIN and each.path in undoing)
        )
        self.timers = tuple(
            each for each in self.timers if each.step is None or each.step in undoing or not among(each.step)
        )
        for scope in [each for each in self.scopes.values() if among(each.path)]:
            del self.scopes[scope.path]
            place = self.definition.places[static(scope.path)]
            place.shape.abandoned(self, place, scope)

    # Operators

    def stick(self, step: StepState, reason: str) -> None:
        """Let a step wait for an operator."""
        self.keep(step.replace(stuck=reason))
        self.tell(EntryKind.INCIDENT_OPENED, step, reason=reason)

    def unstick(self, step: StepState) -> StepState:
        """The step need not wait for an operator any more; the caller keeps what it becomes."""
        if step.stuck is None:
            return step
        self.note(EntryKind.INCIDENT_CLOSED, step=step.path)
        return step.replace(stuck=None)

    @property
    def paused(self) -> bool:
        """Whether nothing new may be scheduled."""
        return self.status is RunStatus.PAUSED

    def hold(self, kind: HeldKind, path: str, below: str = "") -> None:
        """Keep something for the time when the run is resumed."""
        self.held = (*self.held, Held(kind=kind, path=path, below=below))

    def unhold(self, path: str) -> None:
        """What was held for a step is out of date: something else follows."""
        if self.held:
            self.held = tuple(each for each in self.held if each.path != path)

    # The story

    def accept(self, request: WorkflowRequest, answer: bytes | None = None) -> None:
        """A request is carried out: it is told so, and never carried out again."""
        self.note(EntryKind.REQUEST_ACCEPTED, request_id=request.request_id, data=answer)
        self.remember(request)

    def remember(self, request: WorkflowRequest) -> None:
        """A request is never carried out again."""
        self.requests = remembered((*self.requests, request.request_id), self.definition.limits)

    def drop_signals(self) -> None:
        """Nothing will wait for a signal any more; who waits for an answer is told so."""
        for each in self.signals:
            if each.request_id is not None:
                reason = f"the run ended before it waited for the signal {each.name}"
                self.note(EntryKind.REQUEST_REJECTED, request_id=each.request_id, reason=reason)
        self.signals = ()

    def note(self, kind: EntryKind, **fields: Any) -> None:
        """Add an entry to the event."""
        self.entries.append(_entry(kind=kind, **fields))

    def tell(self, kind: EntryKind, step: StepState, data: bytes | None = None, reason: str | None = None) -> None:
        """Add an entry about a step's current attempt."""
        self.entries.append(
            _entry(
                kind=kind, step=step.path, action=step.action, attempt=step.attempt or None, data=data, reason=reason
            )
        )

    def decide(
        self, decision: str, *, path: str = "", action: str | None = None, attempt: int = 0, rule: str = "", reason: str
    ) -> None:
        """Record a decision about a node, or about the run, in the event and among the run's latest."""
        made = Decision(step=path, attempt=attempt, decision=decision, rule=rule, reason=reason, at=self.now)
        kept = self.definition.limits.decisions_kept
        self.decisions = (*self.decisions, made)[-kept:] if kept else ()
        self.entries.append(
            EventEntry(
                kind=EntryKind.DECISION, step=path or None, action=action, attempt=attempt or None, decision=made
            )
        )

    # The end

    def unchanged(self, outcome: Outcome) -> Transition:
        """Nothing happened."""
        return Transition(run=self.run, outcome=outcome)


def remembered(requests: tuple[str, ...], limits: Limits) -> tuple[str, ...]:
    """As many of the latest requests as a run may remember."""
    return requests[-limits.requests_kept :] if limits.requests_kept else ()
