"""What a run has forgotten, told from its events for a request that lets it go back."""

from collections.abc import Sequence

from actionbus.contracts import schedules
from actionbus.contracts.definitions import WorkflowDefinition
from actionbus.contracts.errors import Refused
from actionbus.contracts.events import WorkflowEvent
from actionbus.contracts.limits import Limits
from actionbus.contracts.run import WorkflowRun
from actionbus.engine import recall
from actionbus.engine.definition import Definition
from actionbus.engine.rebuild import rebuild

_NO_MATTER = 1  # for how long an ended run is kept: the run lives


def forgotten(
    run: WorkflowRun, events: Sequence[WorkflowEvent], deployed: Sequence[WorkflowDefinition], step: str, limits: Limits
) -> bytes | None:
    """The payload of a request to go back to a step; None when the run needs nothing, or its events do not tell it.

    In that case the orchestrator says what is missing, or why the run cannot go back there at all.
    """
    first = next((event for event in events if event.version), None)
    if first is None or run.status.ended or run.workflow == schedules.WORKFLOW:
        return None
    try:
        versions = {
            each.version: Definition.deployed(each, limits=limits, run_retention_ms=_NO_MATTER) for each in deployed
        }
        recorded = rebuild(versions[first.definition_version], events, "", versions)
        return recall.forgotten(versions[run.definition_version], run, recorded, step)
    except (Refused, KeyError):
        return None
