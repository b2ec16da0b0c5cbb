"""The working copy of a run inside one call of ``advance``; at the end it becomes the frozen run, once."""

from collections import deque
from typing import Any

from actionbus.contracts import payloads, templates
from actionbus.contracts.errors import InvariantBroken, PayloadRefused
from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.contracts.payloads import Json
from actionbus.contracts.results import ActionError, Emit
from actionbus.contracts.run import (
    Decision,
    ScopeState,
    StepState,
    StepStatus,
    Timer,
    TimerKind,
    WorkflowRun,
)
from actionbus.engine.definition import Definition
from actionbus.engine.moves import Broken, Enter, Failed, Finished, Move, Unwind, where
from actionbus.engine.template import Template, sized
from actionbus.engine.transition import Outcome, Transition


class Draft:
    """A run being changed. Fields have the meaning they have in ``WorkflowRun``; steps and scopes are kept by path."""

    __slots__ = (
        "_values", "compensations", "decisions", "definition", "emits", "ending", "entries", "error", "incident",
        "input", "moves", "next_timer", "now", "output", "run", "scopes", "seq", "status", "steps", "timers",
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
        self.incident = run.incident
        self.next_timer = run.next_timer
        self.moves: deque[Move] = deque()
        self.entries: list[EventEntry] = []
        self.emits: list[Emit] = []
        self._values: dict[str, Json] = {}

    # What follows

    def enter(self, path: str) -> None:
        """Let the node at a path begin."""
        self.moves.append(Enter(path))

    def finish(self, path: str, output: bytes | None = None) -> None:
        """Let what is around the node at a path know that it is done."""
        self.moves.append(Finished(path, output))

    def fail(self, path: str, error: ActionError) -> None:
        """Let what is around the node at a path know that it failed for good."""
        self.moves.append(Failed(path, error))

    def broken(self, step: StepState, error: ActionError) -> None:
        """Let a step's rules decide what follows the failure of its current attempt."""
        self.moves.append(Broken(step, error))

    def unwind(self, path: str) -> None:
        """Undo what was done below a path, last first; when nothing is left, let the node there know."""
        self.moves.append(Unwind(path))

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
        return roots

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

    def open(self, path: str, cursor: int = 0, data: bytes | None = None) -> None:
        """Store the state of a node that waits for nodes inside it."""
        self.scopes[path] = ScopeState(path=path, cursor=cursor, data=data)

    def abandon(self, path: str) -> None:
        """Give up the node at a path with everything inside: live steps, timers, kept outputs, scopes and moves.

        Compensations stay registered, and an undo that is under way goes on: ``unwind`` waits for it.
        """
        self.moves = deque(move for move in self.moves if not below(where(move), path))
        for step in [each for each in self.steps.values() if below(each.path, path)]:
            if step.status in (StepStatus.SCHEDULED, StepStatus.BACKING_OFF):
                self.tell(EntryKind.STEP_CANCELLED, step)
            if step.status is StepStatus.COMPENSATING:
                self.keep(step.replace(resolution=None))
            else:
                self.disarm(step.path)
                del self.steps[step.path]
        self.scopes = {each: scope for each, scope in self.scopes.items() if not below(each, path)}

    # The story

    def note(self, kind: EntryKind, **fields: Any) -> None:
        """Add an entry to the event."""
        self.entries.append(EventEntry(kind=kind, **fields))

    def tell(self, kind: EntryKind, step: StepState, data: bytes | None = None, reason: str | None = None) -> None:
        """Add an entry about a step's current attempt."""
        self.entries.append(
            EventEntry(
                kind=kind, step=step.path, action=step.action, attempt=step.attempt or None, data=data, reason=reason
            )
        )

    def decide(self, decision: str, *, step: StepState | None = None, rule: str = "", reason: str) -> None:
        """Record a decision, in the event and among the run's latest."""
        made = Decision(
            step=step.path if step else "",
            attempt=step.attempt if step else 0,
            decision=decision,
            rule=rule,
            reason=reason,
            at=self.now,
        )
        kept = self.definition.limits.decisions_kept
        self.decisions = (*self.decisions, made)[-kept:] if kept else ()
        self.entries.append(
            EventEntry(
                kind=EntryKind.DECISION,
                step=step.path if step else None,
                action=step.action if step else None,
                attempt=step.attempt or None if step else None,
                decision=made,
            )
        )

    # The end

    def unchanged(self, outcome: Outcome) -> Transition:
        """Nothing happened."""
        return Transition(run=self.run, outcome=outcome)

    def transition(self) -> Transition:
        """The run as it stands now. Without an entry there is no event and no new version: only time was noted."""
        version = self.run.version + 1 if self.entries else self.run.version
        run = self.run.replace(
            status=self.status,
            ending=self.ending,
            version=version,
            txn_seq=self.seq,
            input=self.input,
            output=self.output,
            error=self.error,
            scopes=tuple(self.scopes.values()),
            steps=tuple(self.steps.values()),
            timers=self.timers,
            compensations=self.compensations,
            decisions=self.decisions,
            incident=self.incident,
            next_timer=self.next_timer,
            updated_at=self.now,
        )
        event = None
        if self.entries:
            event = WorkflowEvent(
                run_id=run.run_id,
                incarnation=run.incarnation,
                workflow=run.workflow,
                definition_version=run.definition_version,
                version=version,
                status=self.status,
                at=self.now,
                entries=tuple(self.entries),
            )
        return Transition(run=run, outcome=Outcome.APPLIED, event=event, emits=tuple(self.emits))


def below(path: str, scope: str) -> bool:
    """Whether a path is that of a node, or of one inside it."""
    return scope in ("", path) or path.startswith((f"{scope}.", f"{scope}["))
