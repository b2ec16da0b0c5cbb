"""Somebody hands a named value to the run: to the node that waits for it, or to one that will."""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from actionbus.contracts import payloads
from actionbus.contracts.errors import PayloadRefused, Refused
from actionbus.contracts.events import EntryKind
from actionbus.contracts.requests import WorkflowRequest
from actionbus.contracts.run import Signal
from actionbus.engine import addressing, schedule
from actionbus.engine.draft import Draft
from actionbus.engine.schedule import ScheduleDefinition
from actionbus.engine.shapes.wait import Awaited, WaitShape
from actionbus.engine.template import fitting

_PATHS_SAID: Final = 5  # a map may wait at thousands


def signal(draft: Draft, request: WorkflowRequest) -> str | None:
    """Deliver the signal, or keep it until something waits for it; the reason when it is refused."""
    if isinstance(draft.definition, ScheduleDefinition):
        draft.accept(request)
        return schedule.signalled(draft, request)
    try:
        waits = next(_waiting(draft, _meant(draft, request), request.signal), None)  # the one that waited longest
        if waits is not None:
            _deliver(draft, request, waits)
        elif request.step is not None:
            return _nothing_there(draft, request)
        else:
            # Who waits for an answer hears the verdict once something takes the signal.
            (draft.remember if request.signal in draft.definition.updates else draft.accept)(request)
            keep(draft, request)
    except Refused as refused:
        return str(refused)
    return None


def _meant(draft: Draft, request: WorkflowRequest) -> str | None:
    """The path of the one node that the signal is for; None: any. Raises Refused when it may be several."""
    if request.step is None:
        return None
    waits = [each.path for each in _waiting(draft, None, request.signal)]
    return addressing.path_of(draft.definition, request.step, waits)


def keep(draft: Draft, request: WorkflowRequest) -> None:
    """Keep the signal until something waits for it; raises PayloadRefused with the reason when it is refused."""
    name = request.signal or ""
    given = _given(draft, request, name)
    limit = draft.definition.limits.signals_buffered
    if len(draft.signals) >= limit:
        raise PayloadRefused(f"{limit} signals that nothing has waited for yet are kept, there is no room for one more")
    asks = request.request_id if name in draft.definition.updates else None
    draft.note(EntryKind.SIGNAL_RECEIVED, data=_told(name, given), request_id=asks)
    kept = Signal(name=name, payload=given, received_at=draft.now, request_id=asks)
    draft.signals = (*draft.signals, kept)


def _deliver(draft: Draft, request: WorkflowRequest, waits: Awaited) -> None:
    name = waits.place.node.signal
    given = _given(draft, request, name)
    answer = waits.shape.answer(draft, waits.place, waits.path, given)
    draft.accept(request, answer)
    draft.note(EntryKind.SIGNAL_RECEIVED, step=waits.path, data=_told(name, given))
    waits.shape.signalled(draft, waits.place, waits.path, given)


def _waiting(draft: Draft, path: str | None, signal: str | None) -> Iterator[Awaited]:
    """The nodes that a signal is for, in the order in which they began to wait; None: any path, any signal."""
    for each in draft.scopes:
        place = draft.definition.place(each)
        if place is None or not isinstance(place.shape, WaitShape):
            continue
        if path in (None, each) and signal in (None, place.node.signal):
            yield Awaited(each, place, place.shape)


def _nothing_there(draft: Draft, request: WorkflowRequest) -> str:
    what = f"the signal {request.signal}" if request.signal else "it"
    waits = ", ".join(each.path for each in islice(_waiting(draft, None, request.signal), _PATHS_SAID)) or "nothing"
    return f"nothing at {request.step!r} waits for {what}; what waits in this run: {waits}"


def _given(draft: Draft, request: WorkflowRequest, name: str) -> bytes:
    """What the signal says as canonical JSON; raises PayloadRefused when the workflow takes no such signal."""
    known = draft.definition.signals
    if name not in known:
        listed = ", ".join(sorted(known)) or "none"
        raise PayloadRefused(
            f"the workflow {draft.definition.name} waits for no signal {name!r}; the signals it knows: {listed}"
        )
    if draft.run.ending is not None:
        raise PayloadRefused(f"the run undoes what it did and will be {draft.run.ending}: it takes no signals")
    try:
        return fitting(request.payload, known[name], draft.definition.limits)[1]
    except PayloadRefused as refused:
        raise PayloadRefused(f"the signal {name} does not fit: {refused}") from refused


def _told(name: str, payload: bytes) -> bytes:
    return payloads.encode({"signal": name, "payload": payloads.decode(payload)})
