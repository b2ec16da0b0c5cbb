"""What has to be there of a run's effects once it has ended, told from its definition and its events alone."""

from collections.abc import Callable, Iterator
from itertools import pairwise

from actionbus.contracts import payloads
from actionbus.contracts.events import EntryKind, EventEntry
from actionbus.contracts.run import RunStatus
from actionbus.engine.definition import Definition, Place
from actionbus.engine.paths import below


class Books:
    """One run that has ended. ``by_hand``: the steps that an operator dealt with, and no worker did.

    ``place`` gives the node at a path, and ``first`` a path as it was before anything was renamed: both are those of the
    definition unless the run was migrated.
    """

    def __init__(
        self,
        definition: Definition,
        status: RunStatus,
        entries: list[EventEntry],
        by_hand: set[str],
        *,
        place: Callable[[str], Place | None] | None = None,
        first: Callable[[str], str] = lambda path: path,
    ) -> None:
        self._place = place or definition.place
        self._first = first
        self._status = status
        self._entries = entries
        self._by_hand = by_hand
        self._children = {
            each.step
            for each in entries
            if each.kind is EntryKind.CHILD_ENDED and payloads.decode(each.data)["status"] == RunStatus.COMPLETED
        }
        self._let_go = {each.step for each in entries if each.kind is EntryKind.CHILD_GIVEN_UP}
        self._scheduled = [each.step for each in entries if self._registers(each)]

    def _registers(self, entry: EventEntry) -> bool:
        """Whether what undoes a node is registered: when a step is sent, when another run has completed."""
        if entry.kind is EntryKind.CHILD_ENDED:
            return entry.step in self._children
        return entry.kind is EntryKind.STEP_SCHEDULED and entry.attempt == 1

    def last_first(self) -> bool:
        """Whether the undos of the run's end began in the order that is the reverse of what they undo."""
        kinds = [each.kind for each in self._entries]
        if EntryKind.RUN_COMPENSATING not in kinds:
            return True
        turning = kinds.index(EntryKind.RUN_COMPENSATING)
        begun = self._undos_in_line(self._entries[:turning])  # what was being undone already goes on first
        after = [each for each in self._entries[turning:] if each.step not in begun | self._let_go]
        undos = [each.step for each in after if each.kind is EntryKind.COMPENSATION_SCHEDULED and each.attempt == 1]
        places = [self._scheduled.index(each) for each in undos]
        return all(one >= other for one, other in pairwise(places))

    def _undos_in_line(self, entries: list[EventEntry]) -> set[str | None]:
        """The steps whose undo waits, or has waited, for its turn."""
        scheduled: set[str | None] = set()
        found: set[str | None] = set()
        for each in entries:
            if self._registers(each):
                scheduled.add(each.step)
            elif each.kind is EntryKind.QUEUED and each.attempt is None and each.step in scheduled:
                found.add(each.step)
        return found

    def wanted(self) -> Iterator[tuple[str, bool]]:
        """The steps whose effect is to be there and not undone (True), or to be undone or impossible for ever (False)."""
        if self._status is RunStatus.TERMINATED or any(
            each.decision and each.decision.decision == "fail" for each in self._entries
        ):
            return  # somebody wanted what was done to stay
        done = {
            each.step for each in self._entries if each.kind is EntryKind.STEP_SUCCEEDED
        } | self._children - self._let_go
        given_up, left = self._given_up()
        for path in self._scheduled:
            if self._place(path).node.undo is None or path in self._by_hand:
                continue
            over = any(below(self._first(path), self._first(each)) for each in given_up)
            if self._status is RunStatus.COMPLETED and path in done and not over:
                yield path, True
            elif not any(below(self._first(path), self._first(each)) for each in left) and not self._final(path):
                yield path, False

    def _given_up(self) -> tuple[set[str], set[str]]:
        """The paths below which everything was to be undone, and those of blocks that kept what they had done."""
        given_up = {each.step for each in self._entries if each.kind is EntryKind.BRANCH_GIVEN_UP}
        left: set[str] = set()
        for made in [each.decision for each in self._entries if each.decision is not None and each.decision.rule]:
            node = self._place(made.step).node
            if node.kind == "try":
                undo = node.rules[int(made.rule.split()[1].rstrip(":")) - 1].undo
                (given_up if undo else left).add(f"{made.step}[{made.attempt}]")
        if self._status is not RunStatus.COMPLETED:
            left.clear()  # the end of the run undoes it
        return given_up, left

    def _final(self, path: str) -> bool:
        """Whether a loop without a limit is around a step: its finished turns stay."""
        while "[" in path:
            path = path[: path.rindex("[")]
            node = self._place(path).node
            if node.kind == "repeat" and node.limit is None:
                return True
        return False
