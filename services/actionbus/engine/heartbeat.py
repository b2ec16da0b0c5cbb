"""An attempt is heard of again: its silence is measured anew, and how far it came is kept for the attempt after it."""

from actionbus.contracts.identifiers import CommandId
from actionbus.contracts.results import ActionResult
from actionbus.engine import started
from actionbus.engine.draft import Draft
from actionbus.engine.transition import Outcome


def heartbeat(draft: Draft, result: ActionResult, command: CommandId) -> Outcome:
    """Take note of a sign of life. It makes no event.

    One that says nothing leaves what an earlier one said; so does one that says more than may be kept.
    """
    step = started.current(draft, command)
    if step is None:
        return Outcome.STALE
    kept = result.details is not None and len(result.details) <= draft.definition.limits.heartbeat_bytes
    draft.keep(step.replace(seen_at=draft.now, heartbeat=result.details if kept else step.heartbeat))
    started.hear(draft, step)
    return Outcome.APPLIED
