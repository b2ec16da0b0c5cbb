"""A schedule: it lives as long as there is a next firing. While it does, its scope's data is its ``Standing``.

Everything it does is done in one place, ``Turn``, whatever let it look: its time came, a run of it ended, somebody told
it something, or a pause is over.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from actionbus.contracts.errors import IdentifierRefused, PayloadRefused
from actionbus.contracts.nodes import ScheduleNode
from actionbus.contracts.payloads import Json
from actionbus.contracts.requests import ChildReport
from actionbus.contracts.templates import INPUT, REF
from actionbus.engine import failure
from actionbus.engine.shapes.shape import Shape
from actionbus.engine.shapes.turn import Turn

if TYPE_CHECKING:  # as in shape.py
    from actionbus.engine.definition import Place
    from actionbus.engine.draft import Draft


class ScheduleShape(Shape):
    """See ``Shape``."""

    outside = True

    def reads(self, node: ScheduleNode) -> Iterator[Json]:
        """What it is: the run's input, which an update replaces."""
        del node
        yield {REF: [INPUT]}

    def enter(self, draft: "Draft", place: "Place", path: str) -> None:
        """Begin, or look at what is due."""
        del place
        try:
            turn = Turn(draft, path)
            turn.go()
            turn.rest()
        except (PayloadRefused, IdentifierRefused) as refused:  # written by a version that allowed more
            draft.close(path)
            draft.fail(path, failure.refused(failure.INPUT_REFUSED, f"{path}: {refused}"))

    def woke(self, draft: "Draft", place: "Place", path: str) -> None:
        """The time of a firing has come; in a paused run it is looked at when the run is resumed."""
        del place
        look(draft, path)

    def heard(self, draft: "Draft", path: str, report: ChildReport) -> bool:
        """A run of it could not begin or has ended; False: that is known, or nobody waited for it."""
        turn = Turn(draft, path)
        if not turn.heard(report):
            return False
        turn.keep()
        look(draft, path)
        return True


def look(draft: "Draft", path: str) -> None:
    """Let the schedule look at what is due, once and not while the run is paused."""
    draft.unhold(path)
    draft.enter(path)
