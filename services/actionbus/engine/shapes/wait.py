"""A signal that is waited for. One that came early is taken at once. While the node waits it has a scope."""

from typing import TYPE_CHECKING

from actionbus.contracts import payloads
from actionbus.contracts.events import EntryKind
from actionbus.contracts.results import ActionError
from actionbus.contracts.run import TimerKind
from actionbus.engine import failure
from actionbus.engine.shapes.shape import Shape

if TYPE_CHECKING:  # as in shape.py
    from actionbus.engine.definition import Place
    from actionbus.engine.draft import Draft


class WaitShape(Shape):
    """See ``Shape``."""

    hands_on = True

    def enter(self, draft: "Draft", place: "Place", path: str) -> None:
        """Take the oldest signal of that name, or wait for one."""
        name, limit = place.node.signal, place.node.timeout_ms
        early = next((each for each in draft.signals if each.name == name), None)
        if early is not None:
            draft.signals = tuple(each for each in draft.signals if each is not early)
            draft.note(EntryKind.WAIT_ENDED, step=path, data=early.payload, reason=f"the signal {name} had come before")
            draft.finish(path, early.payload)
            return
        until = None if limit is None else draft.now + limit
        draft.open(path)
        draft.note(EntryKind.WAIT_BEGAN, step=path, data=payloads.encode({"signal": name, "until": until}))
        if until is not None:
            draft.arm(TimerKind.WAKE, until, path)

    def signalled(self, draft: "Draft", place: "Place", path: str, payload: bytes) -> None:
        """The signal has come."""
        draft.close(path)
        draft.note(EntryKind.WAIT_ENDED, step=path, data=payload, reason=f"the signal {place.node.signal} came")
        draft.finish(path, payload)

    def woke(self, draft: "Draft", place: "Place", path: str) -> None:
        """No signal came in time."""
        draft.close(path)
        draft.note(EntryKind.WAIT_ENDED, step=path, reason=f"no signal {place.node.signal} came in time")
        if place.node.on_timeout is not None:
            draft.enter(f"{path}.{place.node.on_timeout.id}")
            return
        message = f"{path}: no signal {place.node.signal} came within {place.node.timeout_ms} ms"
        draft.fail(path, ActionError(type=failure.TIMEOUT, message=message))

    def finished(self, draft: "Draft", place: "Place", path: str, child: str, output: bytes | None) -> None:
        """What follows when no signal came is done."""
        del place, child
        draft.finish(path, output)
