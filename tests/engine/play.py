"""Drives one run by hand: every input with its time and transaction, as a shard would give it, and all that came of it."""

from actionbus.contracts import identifiers, payloads
from actionbus.contracts.commands import ActionCommand, CommandKind
from actionbus.contracts.requests import ChildReport, RequestKind, WorkflowRequest
from actionbus.contracts.results import ActionError, ActionResult, Emit, ResultKind
from actionbus.contracts.run import Parent, StepState, WorkflowRun
from actionbus.engine.advance import advance
from actionbus.engine.definition import Definition
from actionbus.engine.dispatch import commands
from actionbus.engine.history import RESULTS, nonce, pinned
from actionbus.engine.inputs import (
    Admitted,
    ChildReported,
    Input,
    RequestMade,
    ResultReceived,
    StartRequested,
    TimerFired,
)
from actionbus.engine.transition import Outcome, Transition

START = 1_000_000


class Play:
    """One run, from outside. Each method is one input, carried by a transaction of its own."""

    def __init__(self, definition: Definition, run_id: str = "r-1", incarnation: str = "0") -> None:
        self.first = self.definition = definition
        self.run_id = run_id
        self.incarnation = incarnation
        self.run: WorkflowRun | None = None
        self.now = START
        self.seq = 0
        self.inputs: list[tuple[Input, int, int]] = []
        self.transitions: list[Transition] = []
        self.sent: list[ActionCommand] = []

    # What happens

    def starts(self, value=None, *, request_id="start-1", target=None, **fields) -> Transition:
        """Ask for the run; ``target`` is another definition that it is to have from now on."""
        request = WorkflowRequest(
            request_id=request_id,
            run_id=self.run_id,
            kind=RequestKind.START,
            workflow=self.definition.name,
            payload=payloads.encode(value),
            **fields,
        )
        trace = "00-trace-span-01"
        return self.give(StartRequested(request=request, incarnation=self.incarnation, trace=trace, target=target))

    def cancels(self, reason="not wanted", *, request_id="cancel-1", kind=RequestKind.CANCEL) -> Transition:
        """Ask for its end."""
        request = WorkflowRequest(
            request_id=request_id, run_id=self.run_id, kind=kind, reason=reason, requested_by="ada"
        )
        return self.give(RequestMade(request=request))

    def asks(self, kind, *, request_id=None, value=..., **fields) -> Transition:
        """Ask anything of the run; every request has an id of its own unless one is given."""
        request = WorkflowRequest(
            request_id=request_id or f"{kind}-{len(self.inputs)}",
            run_id=self.run_id,
            kind=kind,
            payload=None if value is ... else payloads.encode(value),
            **fields,
        )
        return self.give(RequestMade(request=request))

    def signals(self, name, value=None, *, request_id=None) -> Transition:
        """Hand a value to the run."""
        return self.asks(RequestKind.SIGNAL, request_id=request_id, value=value, signal=name)

    def signals_with_start(self, name, value=None, given=None, *, request_id="signal-1") -> Transition:
        """Hand a value to the run, which is started if there is none."""
        request = WorkflowRequest(
            request_id=request_id,
            run_id=self.run_id,
            kind=RequestKind.SIGNAL,
            workflow=self.definition.name,
            signal=name,
            payload=payloads.encode(value),
            start_input=payloads.encode(given),
        )
        return self.give(StartRequested(request=request, incarnation=self.incarnation))

    def pauses(self) -> Transition:
        """Nothing new, please."""
        return self.asks(RequestKind.PAUSE)

    def resumes(self) -> Transition:
        """Go on."""
        return self.asks(RequestKind.RESUME)

    def terminates(self) -> Transition:
        """Stop at once."""
        return self.asks(RequestKind.TERMINATE)

    def retries(self, path) -> Transition:
        """Try a step again."""
        return self.asks(RequestKind.RETRY_STEP, step=path)

    def rewinds(self, path, *, outputs=None, **given) -> Transition:
        """Go back to a node; ``outputs`` and ``input`` are given back to the run."""
        value = {**given, **({} if outputs is None else {"outputs": outputs})}
        return self.asks(RequestKind.REWIND, step=path, **({"value": value} if value else {}))

    def skips(self, path, value=None) -> Transition:
        """Go on without a step."""
        return self.asks(RequestKind.SKIP_STEP, step=path, value=value)

    def completes(self, path, value=None) -> Transition:
        """A step was done by hand."""
        return self.asks(RequestKind.COMPLETE_STEP, step=path, value=value)

    def moves(self, path, due_at) -> Transition:
        """Let something wait until another time."""
        return self.asks(RequestKind.CHANGE_TIMER, step=path, due_at=due_at)

    def migrates(self, target, **names) -> Transition:
        """Go over to another definition; ``names`` gives nodes other ids, with _ for -."""
        given = {old.replace("_", "-"): new for old, new in names.items()}
        request = WorkflowRequest(
            request_id=f"migrate-{len(self.inputs)}",
            run_id=self.run_id,
            kind=RequestKind.MIGRATE,
            version=target.version,
            payload=payloads.encode(given),
            requested_by="ada",
        )
        return self.give(RequestMade(request=request, target=target))

    def succeeds(self, path, output=None, *, attempt=None, emits=(), undo=False, **fields) -> Transition:
        """A worker did what it was told."""
        emitted = tuple(Emit(topic=topic) for topic in emits)
        said = {"output": payloads.encode(output), "emits": emitted, **fields}
        return self.answers(path, ResultKind.SUCCEEDED, attempt=attempt, undo=undo, **said)

    def fails(self, path, error="Oops", *, attempt=None, undo=False, message="it broke", **fields) -> Transition:
        """A worker could not do it."""
        error = ActionError(type=error, message=message, **fields)
        return self.answers(path, ResultKind.FAILED, attempt=attempt, undo=undo, error=error)

    def begins(self, path, *, attempt=None, undo=False) -> Transition:
        """A worker says that it has begun."""
        return self.answers(path, ResultKind.STARTED, attempt=attempt, undo=undo)

    def beats(self, path, details=None, *, attempt=None, undo=False) -> Transition:
        """A worker says that it goes on, and how far it is."""
        said = None if details is None else payloads.encode(details)
        return self.answers(path, ResultKind.HEARTBEAT, attempt=attempt, undo=undo, details=said)

    def defers(self, path, *, attempt=None, undo=False, emits=()) -> Transition:
        """A worker leaves the answer to whoever has the token."""
        emitted = tuple(Emit(topic=topic) for topic in emits)
        return self.answers(path, ResultKind.DEFERRED, attempt=attempt, undo=undo, emits=emitted)

    def doubts(self, path, message="the worker was killed", *, attempt=None, undo=False) -> Transition:
        """A worker says that nobody knows whether it was done."""
        error = ActionError(type="OutcomeUnknown", message=message, retryable=False)
        return self.answers(path, ResultKind.IN_DOUBT, attempt=attempt, undo=undo, error=error)

    def undoes(self, path, outcome="undone", *, attempt=None, emits=()) -> Transition:
        """A worker undid a step."""
        return self.succeeds(path, {"outcome": outcome}, attempt=attempt, undo=True, emits=emits)

    def answers(self, path, kind, *, attempt=None, undo=False, incarnation=None, **fields) -> Transition:
        """A result about the current attempt of a step, or about another one; also one of before a rewind."""
        if attempt is None:
            attempt = self.step(path).attempt
        own = next((step.incarnation for step in self.run.steps if step.path == path), "") if self.run else ""
        key = identifiers.step_key(self.run_id, incarnation or own or self.incarnation, path)
        text = identifiers.command_id(key, attempt, undo=undo)
        result = ActionResult(command_id=text, step_key=key, run_id=self.run_id, kind=kind, nonce=nonce(text), **fields)
        return self.give(ResultReceived(result=result, command=identifiers.parse_command_id(text)))

    def hears(self, path, status, *, output=..., error=None, run_id=None) -> Transition:
        """The run that a node started tells how it stands; it has the id that such a run gets."""
        rewound = self.run.rewound if self.run else 0
        incarnation = f"{self.incarnation}.{rewound}" if rewound else self.incarnation
        child = run_id or identifiers.child_run_id(self.run_id, incarnation, path)
        report = ChildReport(
            run_id=child,
            incarnation="7",
            status=status,
            output=None if output is ... else payloads.encode(output),
            error=error,
        )
        parent = Parent(run_id=self.run_id, incarnation=self.incarnation, path=path, waits=True)
        return self.give(ChildReported(parent=parent, report=report))

    def admits(self, path) -> Transition:
        """The turn of what waits at a path has come."""
        return self.give(Admitted(path=path))

    def passes(self, milliseconds: int) -> list[Transition]:
        """Time goes by; what is due on the way happens at its time."""
        until = self.now + milliseconds
        fired = []
        while (timer := self._next(until)) is not None:
            self.now = max(self.now, timer.due_at)
            fired.append(self.give(TimerFired(timer_id=timer.id)))
        self.now = until
        return fired

    def gives(self, event: Input, *, now=None) -> Transition:
        """Any input, at any time."""
        if now is not None:
            self.now = now
        return self.give(event)

    def give(self, event: Input) -> Transition:
        """One input in a transaction of its own; its commands go out after it."""
        self.seq += 1
        self.inputs.append((event, self.now, self.seq))
        transition = advance(self.definition, self.run, event, self.now, self.seq)
        self.run = transition.run
        self.definition = pinned(self.definition, event, self.run)
        self.transitions.append(transition)
        if self.run is not None:
            self.sent += commands(self.definition, self.run, self.seq - 1, RESULTS, 0, nonce)
        return transition

    def _next(self, until: int):
        due = [timer for timer in (self.run.timers if self.run else ()) if timer.due_at <= until]
        return min(due, key=lambda timer: (timer.due_at, timer.id), default=None)

    # What can be seen

    def step(self, path) -> StepState:
        """A step's state; fails the test when it is not there."""
        found = {step.path: step for step in self.run.steps} if self.run else {}
        assert path in found, f"there is no step {path}, only {sorted(found) or 'none'}"
        return found[path]

    @property
    def last(self) -> Transition:
        """What came of the latest input."""
        return self.transitions[-1]

    @property
    def events(self):
        """Every event, verdicts on requests included."""
        return [transition.event for transition in self.transitions if transition.event is not None]

    @property
    def emits(self):
        """Every record that was published."""
        return [emit for transition in self.transitions for emit in transition.emits]

    @property
    def applied(self):
        """How many inputs changed the run."""
        return sum(transition.outcome is Outcome.APPLIED for transition in self.transitions)

    def executed(self):
        """The commands to execute, in the order they were sent."""
        return [command for command in self.sent if command.kind is CommandKind.EXECUTE]

    def compensated(self):
        """The commands to compensate, in the order they were sent."""
        return [command for command in self.sent if command.kind is CommandKind.COMPENSATE]


def started(definition: Definition, value=None) -> Play:
    """A play whose run has begun."""
    play = Play(definition)
    play.starts(value)
    return play
