"""The turn of a step has come, or that of the whole run: the shard has room for it under its limit."""

from actionbus.contracts.run import StepStatus
from actionbus.engine import compensate, start, turns
from actionbus.engine.draft import Draft
from actionbus.engine.paths import ROOT
from actionbus.engine.shapes import step as steps
from actionbus.engine.transition import Outcome


def admit(draft: Draft, path: str) -> Outcome:
    """Let what waits at a path go on. What waits no longer, or stands in a paused run, is stale."""
    if draft.paused:
        return Outcome.STALE
    if path == ROOT:
        if draft.turn is None or not draft.run.queued:
            return Outcome.STALE
        start.turn_came(draft, draft.turn)
        return Outcome.APPLIED
    step = draft.steps.get(path)
    if step is None or step.turn is None or not step.queued:
        return Outcome.STALE
    step = turns.use(draft, step, step.turn)
    (compensate.dispatch if step.status is StepStatus.COMPENSATING else steps.dispatch)(draft, step)
    return Outcome.APPLIED
