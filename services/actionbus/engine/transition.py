"""What one input did to a run: values that the caller carries out."""

from dataclasses import dataclass
from enum import Enum

from actionbus.contracts.events import WorkflowEvent
from actionbus.contracts.requests import WorkflowRequest
from actionbus.contracts.results import Emit
from actionbus.contracts.run import WorkflowRun


class Outcome(Enum):
    """What became of an input, for whoever counts."""

    APPLIED = "applied"
    """It was carried out."""
    REPEATED = "repeated"
    """It had been carried out before; nothing changed."""
    STALE = "stale"
    """It came too late, or was never asked for; nothing changed."""
    REJECTED = "rejected"
    """It was refused, and the event says why; nothing changed."""
    FORGOTTEN = "forgotten"
    """The run ended long ago and is to be removed: a tombstone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """The run after an input, and what is to be written with it.

    ``run`` is the very object that was given when nothing changed, and None when there is no such run or it is
    forgotten. ``event`` is None when nothing happened that is worth a record. The commands of a run are derived, by
    ``dispatch``. ``limited``: something in the run may wait for a turn, or have one.
    """

    run: WorkflowRun | None
    outcome: Outcome
    event: WorkflowEvent | None = None
    emits: tuple[Emit, ...] = ()
    requests: tuple[WorkflowRequest, ...] = ()  # what it asks of other runs
    limited: bool = False
