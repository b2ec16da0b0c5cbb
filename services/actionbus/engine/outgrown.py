"""A run whose state, or what it leads to, fits no record: it is given up like any failed run, and becomes small."""

from actionbus.contracts.results import ActionError
from actionbus.contracts.run import RunStatus, WorkflowRun
from actionbus.engine import end, failure
from actionbus.engine.definition import Definition
from actionbus.engine.draft import Draft
from actionbus.engine.freeze import frozen
from actionbus.engine.progress import settle
from actionbus.engine.transition import Outcome, Transition


def outgrown(definition: Definition, run: WorkflowRun, size: int, now: int, seq: int) -> Transition:
    """The transition that follows one whose run has ``size`` bytes, more than ``limits.state_bytes``."""
    message = f"the run's state has {size} bytes, the limit is {definition.limits.state_bytes}: keep less in outputs"
    return given_up(definition, run, failure.refused(failure.STATE_TOO_LARGE, message), now, seq)


def given_up(definition: Definition, run: WorkflowRun, error: ActionError, now: int, seq: int) -> Transition:
    """The transition by which a run fails, whatever it is at.

    Outputs, inputs and scopes go; compensations stay, for they are never dropped. A run that heads for its ending, or
    has reached it, is left as it is: it only becomes smaller.
    """
    if run.status.ended or run.ending is not None:
        return Transition(run=run, outcome=Outcome.STALE)
    draft = Draft(definition, run, now, seq)
    draft.decide("compensate", reason=f"{error.type}: {error.message}")
    end.head_for(draft, RunStatus.FAILED, error)
    settle(draft)
    return frozen(draft)
