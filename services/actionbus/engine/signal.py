"""Somebody hands a named value to the run: to the node that waits for it, or to one that will."""

from actionbus.contracts import payloads
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.events import EntryKind
from actionbus.contracts.requests import WorkflowRequest
from actionbus.contracts.run import Signal
from actionbus.engine.draft import Draft
from actionbus.engine.shapes.wait import WaitShape
from actionbus.engine.template import fitting


def signal(draft: Draft, request: WorkflowRequest) -> str | None:
    """Deliver the signal, or keep it until something waits for it; the reason when it is refused."""
    name = request.signal or ""
    known = draft.definition.signals
    if name not in known:
        listed = ", ".join(sorted(known)) or "none"
        return f"the workflow {draft.definition.name} waits for no signal {name!r}; the signals it knows: {listed}"
    if draft.run.ending is not None:
        return f"the run undoes what it did and will be {draft.run.ending}: it takes no signals"
    try:
        value, payload = fitting(request.payload, known[name], draft.definition.limits)
    except PayloadRefused as refused:
        return f"the signal {name} does not fit: {refused}"
    data = payloads.encode({"signal": name, "payload": value})
    for path in draft.scopes:  # the node that has waited longest comes first
        place = draft.definition.place(path)
        if place is not None and isinstance(place.shape, WaitShape) and place.node.signal == name:
            draft.note(EntryKind.SIGNAL_RECEIVED, step=path, data=data)
            place.shape.signalled(draft, place, path, payload)
            return None
    limit = draft.definition.limits.signals_buffered
    if len(draft.signals) >= limit:
        return f"{limit} signals that nothing has waited for yet are kept, there is no room for one more"
    draft.note(EntryKind.SIGNAL_RECEIVED, data=data)
    draft.signals = (*draft.signals, Signal(name=name, payload=payload, received_at=draft.now))
    return None
