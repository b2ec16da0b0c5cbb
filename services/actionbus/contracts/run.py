"""The state of one run: the record of the compacted state topic. Everything the engine needs to go on stands here."""

from enum import StrEnum

from pydantic import Field

from actionbus.contracts import identifiers
from actionbus.contracts.model import Record
from actionbus.contracts.results import ActionError

ROOT = ""  # the path of the node that holds all others


class RunStatus(StrEnum):
    """Where a run stands."""

    UNKNOWN = "UNKNOWN"
    """A status that a newer writer knows and this reader does not."""
    RUNNING = "RUNNING"
    """Steps are scheduled or waiting for their time."""
    PAUSED = "PAUSED"
    """Nothing new is scheduled until an operator resumes it."""
    COMPENSATING = "COMPENSATING"
    """The run heads for its ending and undoes what it did."""
    COMPLETED = "COMPLETED"
    """Every step succeeded, or its failure had a decision that let the run go on."""
    FAILED = "FAILED"
    """A step failed for good; what could be undone was undone."""
    CANCELLED = "CANCELLED"
    """Somebody cancelled it; what could be undone was undone."""
    TERMINATED = "TERMINATED"
    """Somebody stopped it at once; nothing was undone."""
    TIMED_OUT = "TIMED_OUT"
    """It took longer than its definition allows; what could be undone was undone."""

    @property
    def ended(self) -> bool:
        """Whether nothing will happen to the run any more."""
        return self in ENDED


ENDED = frozenset(
    {RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.TERMINATED, RunStatus.TIMED_OUT},
)


class StepStatus(StrEnum):
    """Where a step stands."""

    UNKNOWN = "UNKNOWN"
    """Nobody knows whether its effect happened."""
    PENDING = "PENDING"
    """Its turn has not come."""
    QUEUED = "QUEUED"
    """Its next attempt waits for its turn, because its action has a limit."""
    SCHEDULED = "SCHEDULED"
    """A command for its current attempt is out."""
    BACKING_OFF = "BACKING_OFF"
    """Its last attempt failed; the next waits for its time."""
    SUCCEEDED = "SUCCEEDED"
    """It is done and its output is known."""
    FAILED = "FAILED"
    """Its attempts are used up and a decision was made."""
    SKIPPED = "SKIPPED"
    """The run went on without it."""
    COMPENSATING = "COMPENSATING"
    """A command to undo it is out, or waits for its next attempt."""
    COMPENSATED = "COMPENSATED"
    """It is undone, or it is certain that it never happened and never will."""
    CANCELLED = "CANCELLED"
    """It was given up before it was dispatched."""


UNDER_WAY = frozenset({StepStatus.QUEUED, StepStatus.SCHEDULED, StepStatus.BACKING_OFF})
"""Where a step may succeed: an attempt of it is out, was out, or is to go out."""


class TimerKind(StrEnum):
    """What happens when a timer is due."""

    UNKNOWN = "unknown"
    """A kind that a newer writer knows and this reader does not."""
    RETRY = "retry"
    """The next attempt of a step, or of its compensation, is due."""
    SCHEDULE_TO_START = "schedule_to_start"
    """The current attempt of a step waited too long for a worker."""
    START_TO_CLOSE = "start_to_close"
    """The current attempt of a step took too long."""
    SCHEDULE_TO_CLOSE = "schedule_to_close"
    """All attempts of a step together took too long."""
    HEARTBEAT = "heartbeat"
    """Nothing was heard of the current attempt of a step for too long."""
    WAKE = "wake"
    """The time has come that the node at a path waits for."""
    RUN_TIMEOUT = "run_timeout"
    """The run took too long."""
    RETENTION = "retention"
    """The ended run may be forgotten and its id used again."""


class Timer(Record):
    """Something that happens at a time. Firing is an input with the identity (run, timer id)."""

    id: int = Field(description="Unique within the run.")
    kind: TimerKind = Field(description="What happens.")
    step: str | None = Field(default=None, description="The path of the node it is about; null: the run.")
    due_at: int = Field(description="When, epoch milliseconds by the broker's clock.")


class ScopeState(Record):
    """A node of the graph that holds others and is under way, such as a sequence."""

    path: str = Field(description="The path of the node; empty: the root.")
    cursor: int = Field(default=0, description="How far it came; its meaning belongs to the kind of node.")
    data: bytes | None = Field(default=None, description="JSON: what else the kind of node remembers.")
    items: bytes | None = Field(default=None, description="map: the JSON list it goes through.")
    gathered: bytes | None = Field(
        default=None, description="Outputs that wait for the node's end: for each a line, its place, a space, its JSON."
    )


class Turn(Record):
    """A place under a limit: in the line for it, or among those that are counted."""

    key: str = Field(default="", description="What it is counted with; empty: all together.")
    queued_at: int = Field(default=0, description="Since when it waits in the line, epoch milliseconds; 0: not yet.")
    taken_at: int = Field(default=0, description="When its turn came, epoch milliseconds; 0: it has not come.")


class Pace(Record):
    """When a run last used a turn under a rate: a new owner of its shard goes on from there."""

    action: str = Field(description="The action that has the rate; empty: the workflow, in the run's place before.")
    key: str = Field(default="", description="What the turn was counted with; empty: all together.")
    at: int = Field(description="When, epoch milliseconds by the broker's clock.")


class StepState(Record):
    """A step that is under way, or whose output can still be read."""

    path: str = Field(description="The step's path inside the run.")
    status: StepStatus = Field(description="Where it stands.")
    action: str = Field(default="", description="The action that its current command is for.")
    attempt: int = Field(
        default=0, description="The current attempt, 1 for the first; while it is undone, of the compensation."
    )
    dispatch_seq: int = Field(default=0, description="txn_seq of the transaction that scheduled the current attempt.")
    scheduled_at: int = Field(default=0, description="When the current attempt was scheduled, epoch ms; 0: never.")
    first_scheduled_at: int = Field(
        default=0, description="When the first attempt was scheduled, epoch milliseconds; 0: never."
    )
    input: bytes | None = Field(default=None, description="JSON: the input of the current command.")
    output: bytes | None = Field(default=None, description="JSON: the output, once it succeeded.")
    error: ActionError | None = Field(default=None, description="Why the last attempt failed.")
    resolution: bytes | None = Field(default=None, description="JSON: what follows once a failed step is undone.")
    stuck: str | None = Field(default=None, description="Why it waits for an operator, in words.")
    seen_at: int = Field(
        default=0, description="When an attempt last sent a heartbeat, epoch milliseconds; 0: none did."
    )
    heartbeat: bytes | None = Field(default=None, description="JSON: what the last heartbeat said that said anything.")
    deferred: int = Field(
        default=0, description="The latest attempt that left its answer to the holder of its token; 0: none did."
    )
    turn: Turn | None = Field(default=None, description="Its place under the limit of its action, if that has one.")
    incarnation: str = Field(
        default="", description="That in its step key, where it began after a rewind; empty: the run's own."
    )

    @property
    def waits_for_worker(self) -> bool:
        """Whether the command of the current attempt is wanted, and a worker is to answer it."""
        wanted = self.status is StepStatus.SCHEDULED or self.status is StepStatus.COMPENSATING
        return wanted and self.dispatch_seq > 0 and not self.handed_over

    @property
    def handed_over(self) -> bool:
        """Whether no worker has the current attempt any more, because somebody else will answer for it."""
        return 0 < self.deferred == self.attempt

    @property
    def queued(self) -> bool:
        """Whether it, or its undo, waits for its turn."""
        if self.turn is None or self.turn.taken_at:
            return False
        return self.status is StepStatus.QUEUED or (
            self.status is StepStatus.COMPENSATING and self.dispatch_seq == 0 and self.turn.queued_at > 0
        )


class Compensation(Record):
    """What undoes a step, registered in the transition that first dispatches the step."""

    step: str = Field(description="The path of the step.")
    action: str = Field(description="The action that undoes it.")
    input: bytes = Field(
        description="JSON template: the undo's input, with references to what the step made left open."
    )
    output: bytes | None = Field(
        default=None, description="JSON: the step's output, if it was seen and the undo reads it."
    )
    incarnation: str = Field(default="", description="That in the step key of the step; empty: the run's own.")


class AnsweredStep(Record):
    """What was accepted of a step that took more than one attempt, so that a later answer can be held against it."""

    step: str = Field(description="The path of the step.")
    attempt: int = Field(description="The attempt whose output was accepted.")
    digest: str = Field(description="The first 16 digits of the output's SHA-256, hexadecimal.")


class Decision(Record):
    """What the engine chose on a failure, and why."""

    step: str = Field(default="", description="The path of the step; empty: the run.")
    attempt: int = Field(default=0, description="The attempt that failed; 0: none in particular.")
    decision: str = Field(description="retry, fallback, continue_with, compensate, fail, cancel, time_out.")
    rule: str = Field(default="", description="The rule that matched, in words; empty: the default.")
    reason: str = Field(default="", description="Why, in words.")
    at: int = Field(description="When, epoch milliseconds by the broker's clock.")


class Incident(Record):
    """Why a run waits for an operator."""

    reason: str = Field(description="Why, in words.")
    step: str | None = Field(default=None, description="The path of the step that is stuck.")
    since: int = Field(description="Since when, epoch milliseconds by the broker's clock.")


class Signal(Record):
    """A signal that came before anything waited for it."""

    name: str = Field(description="The signal's name.")
    payload: bytes = Field(description="JSON: what it says.")
    received_at: int = Field(description="When it came, epoch milliseconds by the broker's clock.")
    request_id: str | None = Field(default=None, description="The request whose sender waits for an answer.")


class HeldKind(StrEnum):
    """What a paused run holds back."""

    UNKNOWN = "unknown"
    """A kind that a newer writer knows and this reader does not."""
    ENTER = "enter"
    """A node whose turn has come."""
    AGAIN = "again"
    """The next attempt of a step, or of its compensation."""
    RESOLVE = "resolve"
    """What a rule wants in place of a failed step."""
    UNWIND = "unwind"
    """What is to be undone."""


class Held(Record):
    """Something that follows once a paused run is resumed."""

    kind: HeldKind = Field(description="What follows.")
    path: str = Field(description="The path of the node that it follows for.")
    below: str = Field(default="", description="unwind: below which path it is undone.")


class Parent(Record):
    """The node of another run that started a run, and what it wants to hear of it."""

    run_id: str = Field(description="The run that started it.")
    incarnation: str = Field(description="The incarnation of that run.")
    path: str = Field(description="The path of the node.")
    waits: bool = Field(description="Whether it waits for the end; else it only hears that the run has begun.")
    depth: int = Field(default=1, description="How many runs stand above, each waiting for the next.")


class WorkflowRun(Record):
    """Everything about one run. The key of the record is the run id; a tombstone forgets the run."""

    run_id: str = Field(description="The run.")
    incarnation: str = Field(description="The offset of the start request in base 36.")
    workflow: str = Field(description="The workflow's name.")
    definition_version: str = Field(description="The version of the definition it is pinned to.")
    definition_hash: str = Field(description="The content hash of that definition.")
    status: RunStatus = Field(description="Where it stands.")
    ending: RunStatus | None = Field(default=None, description="While it compensates: the status it is heading for.")
    version: int = Field(description="Counts transitions from 1; with run_id and incarnation it names an event.")
    txn_seq: int = Field(description="The sequence number of the shard's transaction that wrote this state.")
    start_request_id: str = Field(description="The request that started it: the same request again is answered alike.")
    input: bytes | None = Field(default=None, description="JSON: the input; dropped when nothing can read it any more.")
    output: bytes | None = Field(default=None, description="JSON: the result of a completed run.")
    error: ActionError | None = Field(default=None, description="Why it ended without success, or is about to.")
    scopes: tuple[ScopeState, ...] = Field(default=(), description="Nodes under way that hold others, outermost first.")
    steps: tuple[StepState, ...] = Field(
        default=(), description="Steps under way, and finished ones that can still be read."
    )
    timers: tuple[Timer, ...] = Field(default=(), description="What is to happen at a time.")
    compensations: tuple[Compensation, ...] = Field(
        default=(), description="What undoes the run, oldest first; undone last first."
    )
    decisions: tuple[Decision, ...] = Field(
        default=(), description="The latest decisions; all of them are in the events."
    )
    incident: Incident | None = Field(
        default=None, description="Why it waits for an operator: the first of its stuck steps."
    )
    signals: tuple[Signal, ...] = Field(
        default=(), description="Signals that nothing has waited for yet, oldest first."
    )
    views: dict[str, bytes] = Field(default_factory=dict, description="JSON of what the run shows, by name.")
    held: tuple[Held, ...] = Field(default=(), description="What follows once it is resumed, in order.")
    requests: tuple[str, ...] = Field(
        default=(), description="The ids of the latest requests it carried out: none is carried out twice."
    )
    priority: int = Field(default=0, description="Who goes first where a limit lets not all go; higher first.")
    turn: Turn | None = Field(default=None, description="Its place under the limit of its workflow, if that has one.")
    paces: tuple[Pace, ...] = Field(default=(), description="Its latest turns under the rates of actions.")
    answered: tuple[AnsweredStep, ...] = Field(
        default=(), description="What was accepted of the latest steps that took more than one attempt."
    )
    next_timer: int = Field(default=1, description="The id of the next timer.")
    rewound: int = Field(
        default=0, description="How often it was rewound; it stands in the step keys of what began after that."
    )
    parent: Parent | None = Field(default=None, description="The run that started it, and waits for it.")
    trace: str | None = Field(
        default=None,
        description="The W3C trace context of the start request: its traceparent, and after a space its tracestate.",
    )
    created_at: int = Field(description="When it was started, epoch milliseconds by the broker's clock.")
    updated_at: int = Field(description="When it last changed, epoch milliseconds by the broker's clock.")

    def key(self, step: StepState) -> str:
        """The step key of a step of this run."""
        return identifiers.step_key(self.run_id, step.incarnation or self.incarnation, step.path)

    @property
    def queued(self) -> bool:
        """Whether the whole run waits for its turn."""
        turn = self.turn
        return turn is not None and turn.queued_at > 0 and not turn.taken_at and not self.status.ended

    @property
    def unbegun(self) -> bool:
        """Whether the whole run waits for its turn, or for the time at which it is to begin."""
        return self.queued or any(timer.kind is TimerKind.WAKE and timer.step == ROOT for timer in self.timers)
