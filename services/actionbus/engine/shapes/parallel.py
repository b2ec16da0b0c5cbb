"""Nodes at the same time. Those that are not needed any more are given up, and what they did is undone.

The scope gathers the outputs as they come. Its cursor is 0 while branches are under way and 1 once enough of them have
succeeded and the others are being undone.
"""

from typing import TYPE_CHECKING

from actionbus.contracts import payloads
from actionbus.contracts.events import EntryKind
from actionbus.contracts.nodes import ParallelNode
from actionbus.contracts.results import ActionError
from actionbus.engine import failure, gathering
from actionbus.engine.shapes.shape import Shape

if TYPE_CHECKING:  # as in shape.py
    from actionbus.engine.definition import Place
    from actionbus.engine.draft import Draft

CLOSING = 1


class ParallelShape(Shape):
    """See ``Shape``."""

    hands_on = True

    def enter(self, draft: "Draft", place: "Place", path: str) -> None:
        """Begin all branches."""
        draft.open(path, gathered=b"", data=payloads.encode([]))
        for each in place.node.branches:
            draft.enter(f"{path}.{each.id}")
        if not place.node.branches:
            self._close(draft, place, path)

    def finished(self, draft: "Draft", place: "Place", path: str, child: str, output: bytes | None) -> None:
        """Take the output; when enough have come, the others are given up."""
        scope = draft.scopes[path]
        number = [f"{path}.{each.id}" for each in place.node.branches].index(child)
        wanted = place.path in draft.definition.wanted
        gathered = gathering.add(scope.gathered, number, output if wanted else None)
        draft.scopes[path] = scope.replace(gathered=gathered)
        if gathering.count(gathered) == _enough(place.node):
            self._give_up(draft, place, path)

    def failed(self, draft: "Draft", place: "Place", path: str, child: str, error: ActionError) -> None:
        """One branch less: the whole fails when too few are left, else what the branch did is undone."""
        scope = draft.scopes[path]
        lost = [*payloads.decode(scope.data or b"[]"), child]
        if len(place.node.branches) - len(lost) < _enough(place.node):
            draft.abandon(path)
            draft.fail(path, error)
            return
        draft.scopes[path] = scope.replace(data=payloads.encode(lost))
        draft.abandon(child)
        draft.note(EntryKind.BRANCH_GIVEN_UP, step=child, data=failure.as_bytes(error))
        draft.unwind(path, child)

    def unwound(self, draft: "Draft", place: "Place", path: str, below: str) -> None:
        """A branch is undone: while the node closes, the next one follows."""
        if draft.scopes[path].cursor != CLOSING:
            return
        losers = self._losers(draft, place, path)
        left = losers[losers.index(below) + 1 :]
        if left:
            draft.unwind(path, left[0])
        else:
            self._close(draft, place, path)

    def _give_up(self, draft: "Draft", place: "Place", path: str) -> None:
        losers = self._losers(draft, place, path)
        lost = payloads.decode(draft.scopes[path].data or b"[]")
        for each in losers:
            draft.abandon(each)
            if each not in lost:
                draft.note(EntryKind.BRANCH_GIVEN_UP, step=each, reason="enough others have succeeded")
        draft.scopes[path] = draft.scopes[path].replace(cursor=CLOSING)
        if losers:
            draft.unwind(path, losers[0])
        else:
            self._close(draft, place, path)

    def _losers(self, draft: "Draft", place: "Place", path: str) -> list[str]:
        won = gathering.places(draft.scopes[path].gathered)
        return [f"{path}.{each.id}" for number, each in enumerate(place.node.branches) if number not in won]

    def _close(self, draft: "Draft", place: "Place", path: str) -> None:
        gathered = draft.scopes[path].gathered
        draft.close(path)
        gathering.hand_on(draft, path, gathered, len(place.node.branches))


def _enough(node: ParallelNode) -> int:
    return len(node.branches) if node.enough is None else min(node.enough, len(node.branches))
