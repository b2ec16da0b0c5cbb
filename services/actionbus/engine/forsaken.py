"""Whether anything is left that could move a live run. The engine leaves no run forsaken; whoever watches it asks."""

from typing import Final

from actionbus.contracts.run import RunStatus, StepStatus, WorkflowRun
from actionbus.engine.definition import Definition

AWAITED: Final = frozenset({StepStatus.UNKNOWN, StepStatus.QUEUED, StepStatus.SCHEDULED, StepStatus.COMPENSATING})
"""Where a step is that somebody answers, gives a turn, or repairs. One that backs off has a timer, or is forsaken."""


def forsaken(definition: Definition | None, run: WorkflowRun) -> bool:
    """Whether a live run has no timer, no command out, nothing queued or held, and waits for nobody outside of it.

    A run whose definition is not deployed cannot be moved by anything either.
    """
    if run.status.ended or run.status is RunStatus.UNKNOWN:
        return False
    if definition is None:
        return True
    if run.status is RunStatus.PAUSED or run.timers or run.held or run.queued:
        return False
    if any(step.status in AWAITED or step.stuck is not None for step in run.steps):
        return False
    return not any(waits(definition, scope.path) for scope in run.scopes)


def waits(definition: Definition, path: str) -> bool:
    """Whether a node that is under way waits for somebody outside the run: a sender, a person, another run."""
    place = definition.place(path)
    return place is not None and place.shape.outside
