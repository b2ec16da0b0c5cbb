"""The workflow behind every schedule, which nobody deploys, and what its runs are told by signals.

Its definition is part of the product: a run of it is pinned to the hash, so a version of it never changes.
"""

from typing import Final

from actionbus.contracts import payloads, schedules
from actionbus.contracts.definitions import Graph
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.events import EntryKind
from actionbus.contracts.limits import Limits
from actionbus.contracts.nodes import ScheduleNode, SequenceNode
from actionbus.contracts.payloads import Json
from actionbus.contracts.requests import WorkflowRequest
from actionbus.engine.definition import Definition
from actionbus.engine.draft import Draft
from actionbus.engine.shapes.turn import Turn
from actionbus.engine.template import sized

GRAPH: Final = Graph(
    name=schedules.WORKFLOW,
    version="1",
    root=SequenceNode(id="root", nodes=(ScheduleNode(id=schedules.NODE),)),
    actions={},
)


class ScheduleDefinition(Definition):
    """The definition of that workflow. What begins a run of it is checked to the last field."""

    def __init__(self, *, limits: Limits, run_retention_ms: int) -> None:
        super().__init__(GRAPH, limits=limits, run_retention_ms=run_retention_ms)

    def admit(self, run_id: str, given: Json) -> Json:
        """The same; raises PayloadRefused for what can never fire, IdentifierRefused for too long an id."""
        schedules.check_id(run_id)
        schedules.schedule(given)
        return given


def signalled(draft: Draft, request: WorkflowRequest) -> str | None:
    """Do what a schedule is told; the reason when it is refused."""
    name, path = request.signal or "", schedules.NODE
    if name not in schedules.SIGNALS:
        return f"a schedule takes the signals {', '.join(schedules.SIGNALS)}, not {name!r:.80}"
    if path not in draft.scopes:
        return "the schedule has not begun yet, or is about to end"
    if draft.paused and name != schedules.UPDATE:
        return "the schedule is paused: resume it first"
    try:
        given = payloads.decode(sized(request.payload or b"null", draft.definition.limits))
        draft.note(EntryKind.SIGNAL_RECEIVED, step=path, data=payloads.encode({"signal": name, "payload": given}))
        refused = _told(draft, Turn(draft, path), name, given)
    except PayloadRefused as error:
        return f"the signal {name} does not fit: {error}"
    return refused


def _told(draft: Draft, turn: Turn, name: str, given: Json) -> str | None:
    if not draft.paused:
        turn.go()  # what was due before somebody asked comes first
    refused = None
    match name:
        case schedules.TRIGGER:
            refused = turn.trigger(schedules.read(schedules.Trigger, {} if given is None else given).overlap)
        case schedules.BACKFILL:
            refused = turn.backfill(schedules.read(schedules.Backfill, given))
            turn.go()
        case _:
            new = schedules.schedule(given)
            if turn.standing.backfill is not None:
                return "a span is being filled by the schedule as it is: ask again once that is done"
            turn.update(new, payloads.encode(given))
    turn.rest()
    return refused
