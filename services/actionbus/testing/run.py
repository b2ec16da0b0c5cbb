"""What a run without Kafka leaves to look at."""

from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from actionbus.contracts.errors import RunFailed
from actionbus.contracts.events import EventEntry, WorkflowEvent
from actionbus.contracts.payloads import Json
from actionbus.contracts.results import ActionError, Emit
from actionbus.contracts.run import Decision, RunStatus, WorkflowRun

O = TypeVar("O")  # noqa: E741 - output


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """One call of an action: what it was given, for which attempt of which step."""

    action: str
    step: str
    attempt: int
    undo: bool
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """One ``ctx.heartbeat()``: of which attempt of which step, and what the attempt has last said of how far it is."""

    action: str
    step: str
    attempt: int
    details: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Generic[O]):
    """A run that ended, or that waits for an operator or a signal."""

    state: WorkflowRun
    output: O | None
    """What a completed run gave; None in any other run."""
    events: tuple[WorkflowEvent, ...]
    calls: tuple[Called, ...]
    emitted: tuple[Emit, ...]
    heartbeats: tuple[Heartbeat, ...] = ()
    waits_for: tuple[str, ...] = ()
    """The signals that a run that has not ended waits for."""
    children: tuple[WorkflowRun, ...] = ()
    """The runs that it started, and those that they started, as they stood when it ended."""

    @property
    def status(self) -> RunStatus:
        """Where the run stands."""
        return self.state.status

    @property
    def error(self) -> ActionError | None:
        """Why it ended without success."""
        return self.state.error

    @property
    def entries(self) -> tuple[EventEntry, ...]:
        """Everything that happened, in order."""
        return tuple(entry for event in self.events for entry in event.entries)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """What the engine chose on each failure, and why, in order."""
        return tuple(entry.decision for entry in self.entries if entry.decision is not None)

    @property
    def result(self) -> O:
        """The output of a completed run; raise RunFailed with the reason for any other."""
        if self.status is RunStatus.COMPLETED:
            return cast("O", self.output)
        raise RunFailed(self.state.run_id, self.status, self.reason)

    @property
    def reason(self) -> str:
        """Why the run did not complete, in words; empty when it did."""
        if self.state.incident is not None:
            return self.state.incident.reason
        if self.waits_for:
            return f"it waits for the signal {' and the signal '.join(self.waits_for)}"
        return "" if self.error is None else f"{self.error.type}: {self.error.message}"

    def called(self, action: str) -> list[dict[str, Any]]:
        """What an action was given, call by call."""
        return [each.arguments for each in self.calls if each.action == action]
