"""What events say to a caller: the verdict on a request, and how a run ended. Waiting for them is done in `tail`."""

from actionbus.contracts import payloads
from actionbus.contracts.errors import Conflict, InvariantBroken, Refused, RunFailed
from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.contracts.payloads import Json
from actionbus.contracts.run import RunStatus, WorkflowRun


def verdict(event: WorkflowEvent, request_id: str) -> EventEntry | None:
    """The entry that accepts or rejects the request, if the event carries it."""
    for entry in event.entries:
        if entry.request_id == request_id and entry.kind in (EntryKind.REQUEST_ACCEPTED, EntryKind.REQUEST_REJECTED):
            return entry
    return None


def check(event: WorkflowEvent, entry: EventEntry, absent: type[Refused] = Refused) -> None:
    """Raise when a request was rejected: Conflict when the run it is about stands in the way, ``absent`` if none is."""
    if entry.kind is not EntryKind.REQUEST_REJECTED:
        return
    reason = entry.reason or "no reason was given"
    if event.incarnation:
        raise Conflict(f"run {event.run_id}: {reason}")
    raise absent(f"run {event.run_id}: {reason}")


def ended(event: WorkflowEvent) -> bool:
    """Whether the event is the last of its run."""
    return event.version > 0 and event.status.ended


def output(event: WorkflowEvent) -> Json:
    """What an ended run gave; raises RunFailed when it did not complete."""
    last = next((entry for entry in reversed(event.entries) if entry.kind is EntryKind.RUN_ENDED), None)
    if last is None:
        raise InvariantBroken(f"the last event of run {event.run_id} does not say how it ended")
    value = None if last.data is None else payloads.decode(last.data)
    if event.status is RunStatus.COMPLETED:
        return value
    error = value if isinstance(value, dict) else {}
    raise RunFailed(event.run_id, event.status.value, _sentence(error.get("type"), error.get("message")))


def output_of(run: WorkflowRun) -> Json:
    """The same from the state of a run that has ended."""
    if run.status is RunStatus.COMPLETED:
        return None if run.output is None else payloads.decode(run.output)
    error = run.error
    raise RunFailed(run.run_id, run.status.value, _sentence(error and error.type, error and error.message))


def _sentence(kind: str | None, message: str | None) -> str:
    return ": ".join(part for part in (kind, message) if part) or "no reason was given"
