"""One node for each item of a list, so many at a time. The cursor is the place of the next item to begin with.

The scope holds the list as JSON, the outputs as they come, and three counts; what it costs to go on does not grow with
the items that are done.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from actionbus.contracts import payloads
from actionbus.contracts.definitions import Graph
from actionbus.contracts.errors import InvariantBroken, PayloadRefused
from actionbus.contracts.events import EntryKind
from actionbus.contracts.nodes import MapNode
from actionbus.contracts.payloads import Json
from actionbus.contracts.results import ActionError
from actionbus.contracts.run import ScopeState, TimerKind
from actionbus.engine import failure, gathering
from actionbus.engine.shapes.shape import Shape
from actionbus.engine.template import Template

if TYPE_CHECKING:  # as in shape.py
    from actionbus.engine.definition import Place
    from actionbus.engine.draft import Draft

_LISTS = 64  # decoded lists kept: each is read once for every item that begins


@dataclass(slots=True, kw_only=True)
class Counts:
    """How many items there are, have succeeded, have failed, and are being undone (each of those failed as well)."""

    items: int
    done: int = 0
    failed: int = 0
    undoing: int = 0

    @classmethod
    def of(cls, scope: ScopeState) -> "Counts":
        """The counts that a scope holds."""
        return cls(**payloads.decode(scope.data or b"{}"))

    def under_way(self, cursor: int) -> int:
        """How many have begun and are not over."""
        return cursor - self.done - self.failed + self.undoing

    def as_bytes(self) -> bytes:
        """For the scope. Written out: ``asdict`` takes longer than all else that an item costs."""
        counts = {"items": self.items, "done": self.done, "failed": self.failed, "undoing": self.undoing}
        return payloads.encode(counts)


class MapShape(Shape):
    """See ``Shape``."""

    hands_on = True
    yields = True

    def reads(self, node: MapNode) -> Iterator[Json]:
        """The list."""
        yield node.items

    def plan(self, node: MapNode, graph: Graph) -> Template:
        """The template of the list."""
        del graph
        return Template.of(node.items)

    def enter(self, draft: "Draft", place: "Place", path: str) -> None:
        """Begin with as many items as may be under way."""
        try:
            items = _items(draft.fill(place.plan, path), draft.definition.limits.map_items)
        except PayloadRefused as refused:
            draft.refuse(path, failure.INPUT_REFUSED, refused)
            return
        counts = Counts(items=len(items))
        draft.note(EntryKind.LOOP_BEGAN, step=path, data=payloads.encode({"items": len(items)}))
        draft.open(path, items=payloads.encode(items), gathered=b"", data=counts.as_bytes())
        self._go_on(draft, place, path, counts)

    def finished(self, draft: "Draft", place: "Place", path: str, child: str, output: bytes | None) -> None:
        """Take the output if anything reads it; another item follows."""
        scope = draft.scopes[path]
        counts = Counts.of(scope)
        counts.done += 1
        if place.path in draft.definition.wanted:
            gathered = gathering.add(scope.gathered, _index(path, child), output)
            if len(gathered) > 2 * draft.definition.limits.payload_bytes:
                draft.abandon(path)
                why = f"{path}: the outputs of its items are too large for one list: let the items store what they make"
                draft.fail(path, failure.refused(failure.RESULT_TOO_LARGE, why))
                return
            draft.scopes[path] = scope.replace(gathered=gathered)
        self._go_on(draft, place, path, counts)

    def failed(self, draft: "Draft", place: "Place", path: str, child: str, error: ActionError) -> None:
        """Undo what was done for the item if it is allowed to fail, else fail with it."""
        counts = Counts.of(draft.scopes[path])
        counts.failed += 1
        if counts.failed > _may_fail(place.node, counts.items):
            draft.abandon(path)
            draft.fail(path, error)
            return
        counts.undoing += 1
        draft.scopes[path] = draft.scopes[path].replace(data=counts.as_bytes())
        draft.abandon(child)
        draft.note(EntryKind.BRANCH_GIVEN_UP, step=child, data=failure.as_bytes(error))
        draft.unwind(path, child)

    def unwound(self, draft: "Draft", place: "Place", path: str, below: str) -> None:
        """A failed item is undone; another one follows."""
        del below
        counts = Counts.of(draft.scopes[path])
        counts.undoing -= 1
        self._go_on(draft, place, path, counts)

    def woke(self, draft: "Draft", place: "Place", path: str) -> None:
        """Go on after a pause that other runs were owed."""
        self._go_on(draft, place, path, Counts.of(draft.scopes[path]))

    def gives(self, draft: "Draft", place: "Place", path: str, reader: str) -> Json:
        """The item and its place."""
        del place
        index = _index(path, reader)
        return {"item": _decoded(draft.scopes[path].items or b"[]")[index], "index": index}

    def _go_on(self, draft: "Draft", place: "Place", path: str, counts: Counts) -> None:
        scope = draft.scopes[path]
        cursor = scope.cursor
        most = min(place.node.concurrency, draft.definition.limits.map_concurrency)
        while cursor < counts.items and counts.under_way(cursor) < most and not draft.busy:
            draft.enter(f"{path}[{cursor}]")
            cursor += 1
        if draft.busy and cursor < counts.items and draft.due_at(path, TimerKind.WAKE) is None:
            draft.arm(TimerKind.WAKE, draft.now + 1, path)  # items that need nobody: other runs have their turn
        if cursor < counts.items or counts.under_way(cursor):
            draft.scopes[path] = scope.replace(cursor=cursor, data=counts.as_bytes())
        else:
            self._close(draft, place, path, counts)

    def _close(self, draft: "Draft", place: "Place", path: str, counts: Counts) -> None:
        gathered = draft.scopes[path].gathered
        draft.close(path)
        if place.path not in draft.definition.wanted:
            draft.finish(path)
        else:
            gathering.hand_on(draft, path, gathered, counts.items)


def _items(value: Json, most: int) -> list[Any]:
    if not isinstance(value, list):
        raise PayloadRefused(f"it goes through a list, not {payloads.encode(value).decode()[:80]}")
    if len(value) > most:
        raise PayloadRefused(f"the list has {len(value)} items, the limit is {most}: go through it in several runs")
    return value


def _may_fail(node: MapNode, items: int) -> int:
    return max(node.may_fail, int(node.may_fail_percent * items // 100))


def _index(path: str, inside: str) -> int:
    """The place of the item that a run's path inside the map belongs to."""
    if not inside.startswith(f"{path}["):
        raise InvariantBroken(f"{inside} is not inside the map {path}")
    return int(inside[len(path) + 1 : inside.index("]", len(path))])


@lru_cache(maxsize=_LISTS)
def _decoded(items: bytes) -> list[Any]:
    return payloads.decode(items)
