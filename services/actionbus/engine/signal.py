"""Somebody hands a named value to the run: to the node that waits for it, or to one that will."""

from actionbus.contracts import payloads
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.events import EntryKind
from actionbus.contracts.nodes import WaitNode
from actionbus.contracts.requests import WorkflowRequest
from actionbus.contracts.run import Signal
from actionbus.engine.draft import Draft
from actionbus.engine.shapes.wait import WaitShape
from actionbus.engine.template import sized


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
        value = payloads.decode(request.payload if request.payload is not None else b"null")
        known[name].check(value)
        payload = sized(payloads.encode(value), draft.definition.limits)
    except PayloadRefused as refused:
        return f"the signal {name} does not fit: {refused}"
    return _deliver(draft, name, payload)


def _deliver(draft: Draft, name: str, payload: bytes) -> str | None:
    """Hand a checked signal to the node that has waited longest, or keep it; the reason when there is no room."""
    data = payloads.encode({"signal": name, "payload": payloads.decode(payload)})
    for path in draft.scopes:
        place = draft.definition.place(path)
        if place is not None and isinstance(place.node, WaitNode) and place.node.signal == name:
            draft.note(EntryKind.SIGNAL_RECEIVED, step=path, data=data)
            shape = place.shape
            if isinstance(shape, WaitShape):
                shape.signalled(draft, place, path, payload)
            return None
    limit = draft.definition.limits.signals_buffered
    if len(draft.signals) >= limit:
        return f"{limit} signals that nothing has waited for yet are kept, there is no room for one more"
    draft.note(EntryKind.SIGNAL_RECEIVED, data=data)
    draft.signals = (*draft.signals, Signal(name=name, payload=payload, received_at=draft.now))
    return None
