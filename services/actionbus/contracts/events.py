"""What happened to a run: the record of the events topic, one for each transition."""

from enum import StrEnum

from pydantic import Field

from actionbus.contracts.model import Record
from actionbus.contracts.run import Decision, RunStatus


class EntryKind(StrEnum):
    """One thing that happened within a transition."""

    UNKNOWN = "unknown"
    """A kind that a newer writer knows and this reader does not."""
    REQUEST_ACCEPTED = "request_accepted"
    """A request was carried out, or had been before; data is the answer, or the node that asked for the start."""
    REQUEST_REJECTED = "request_rejected"
    """A request was refused; the reason says why."""
    RUN_STARTED = "run_started"
    """The run began; data is its input."""
    START_CHANGED = "start_changed"
    """A later start gave a run that had not begun yet another input and another beginning; data is the input."""
    ATTRIBUTES_SET = "attributes_set"
    """By what the run can be found from now on; data is an object of names and values."""
    STEP_SCHEDULED = "step_scheduled"
    """A command for an attempt of a step goes out; data is its input."""
    QUEUED = "queued"
    """A step, or the whole run, waits for its turn under a limit; the reason says under which."""
    STEP_SUCCEEDED = "step_succeeded"
    """A step is done; data is its output."""
    STEP_FAILED = "step_failed"
    """An attempt of a step failed; data is the error."""
    STEP_TIMED_OUT = "step_timed_out"
    """An attempt of a step took too long."""
    STEP_DEFERRED = "step_deferred"
    """An attempt of a step, or of its undo, left the answer to the holder of its token."""
    STEP_IN_DOUBT = "step_in_doubt"
    """Nobody knows whether an attempt of a step, or of its undo, had its effect; data is the error."""
    RESULTS_DIFFER = "results_differ"
    """A late success of a step has another output than the one that was accepted; data is the late one."""
    STEP_SKIPPED = "step_skipped"
    """The run goes on without the step; data is the value it goes on with."""
    STEP_CANCELLED = "step_cancelled"
    """A step was given up before its next attempt went out."""
    RETRY_REQUESTED = "retry_requested"
    """Somebody wants a step to be tried again at once."""
    RUN_REWOUND = "run_rewound"
    """What ran from a node on is undone and runs again; data is what the request gave back to the run."""
    STEP_COMPLETED = "step_completed"
    """An operator completed a step by hand; data is the output."""
    DECISION = "decision"
    """The engine chose what follows a failure."""
    COMPENSATION_SCHEDULED = "compensation_scheduled"
    """A command to undo a step goes out."""
    COMPENSATION_FAILED = "compensation_failed"
    """An attempt to undo a step failed; data is the error."""
    STEP_COMPENSATED = "step_compensated"
    """A step is undone, or will never happen; data says which."""
    RECORD_EMITTED = "record_emitted"
    """A record was published to a topic of the user; data names it."""
    BRANCH_CHOSEN = "branch_chosen"
    """A condition held, or none did; data names what follows."""
    BRANCH_GIVEN_UP = "branch_given_up"
    """A branch is not needed any more, or failed and was allowed to; what it did is undone."""
    VIEW_CHANGED = "view_changed"
    """The run shows another value; data is its name and the value."""
    LOOP_BEGAN = "loop_began"
    """A list is gone through; data says how many items it has."""
    WAIT_BEGAN = "wait_began"
    """The run waits for a signal or a time; data says for which."""
    WAIT_ENDED = "wait_ended"
    """What was waited for came, or its time was over; data is the payload of the signal."""
    TASK_OPENED = "task_opened"
    """A person is asked for something; data says for what, whom and by when."""
    TASK_ASSIGNED = "task_assigned"
    """Somebody else is asked; data says whom."""
    TASK_REMINDED = "task_reminded"
    """It is time to remind; data says whom."""
    TASK_OVERDUE = "task_overdue"
    """The task is not done by its due date; data says whose it is."""
    SIGNAL_RECEIVED = "signal_received"
    """Somebody sent a signal; data is its name and payload. Only who waits for an answer is named by the request."""
    TIMER_CHANGED = "timer_changed"
    """An operator let something wait for another time; data says for which."""
    CHILD_STARTED = "child_started"
    """Another run is started; data names it."""
    CHILD_ENDED = "child_ended"
    """What was waited for of another run has come; data names it and says how it stands, and its output or error."""
    CHILD_GIVEN_UP = "child_given_up"
    """Another run is not needed any more; data names it and says what is asked of it."""
    FIRING_SKIPPED = "firing_skipped"
    """A firing of a schedule started nothing, because a run was live; data names the run and its time."""
    FIRINGS_MISSED = "firings_missed"
    """Firings of a schedule came too late, or were given up; data says how many, from when on and before when."""
    CANCEL_REQUESTED = "cancel_requested"
    """Somebody cancelled the run."""
    TERMINATE_REQUESTED = "terminate_requested"
    """Somebody terminated the run."""
    RUN_PAUSED = "run_paused"
    """Nothing new is scheduled until the run is resumed."""
    RUN_RESUMED = "run_resumed"
    """The run goes on."""
    RUN_MIGRATED = "run_migrated"
    """The run goes on under another version of its definition; data says from which to which, and the map."""
    RUN_TIMED_OUT = "run_timed_out"
    """The run took too long."""
    INCIDENT_OPENED = "incident_opened"
    """The run waits for an operator."""
    INCIDENT_CLOSED = "incident_closed"
    """The run no longer waits for an operator."""
    RUN_COMPENSATING = "run_compensating"
    """The run heads for its ending and undoes what it did."""
    RUN_ENDED = "run_ended"
    """The run ended with the record's status; data is its output or its error."""


class EventEntry(Record):
    """One thing that happened within a transition."""

    kind: EntryKind = Field(description="What happened.")
    step: str | None = Field(default=None, description="The path of the step it is about.")
    action: str | None = Field(default=None, description="The action it is about.")
    attempt: int | None = Field(default=None, description="The attempt it is about.")
    data: bytes | None = Field(default=None, description="JSON; its meaning belongs to the kind.")
    decision: Decision | None = Field(default=None, description="The decision, when it is one.")
    request_id: str | None = Field(default=None, description="The request it answers.")
    reason: str | None = Field(default=None, description="Why, in words.")


class WorkflowEvent(Record):
    """One transition of a run. (run_id, incarnation, version) is unique. The key of the record is the run id.

    A record with version 0 changed no run: it only carries the verdict on a request.
    """

    run_id: str = Field(description="The run.")
    incarnation: str = Field(description="The run's incarnation; empty when there is no such run.")
    workflow: str = Field(description="The workflow's name; empty when it is not known.")
    definition_version: str = Field(description="The version of the definition; empty when it is not known.")
    version: int = Field(description="The run's version after the transition; 0: no run was changed.")
    status: RunStatus = Field(description="The run's status after the transition.")
    at: int = Field(description="When, epoch milliseconds by the broker's clock.")
    entries: tuple[EventEntry, ...] = Field(description="What happened, in order.")
