"""What has to be there of a run's effects once it has ended, told from its definition and its events alone."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from actionbus.contracts import payloads
from actionbus.contracts.events import EntryKind, EventEntry
from actionbus.contracts.run import RunStatus
from actionbus.engine.definition import Definition, Place
from actionbus.engine.paths import below


@dataclass(slots=True)
class Effect:
    """What a node may have done. ``at``: how often the run had been rewound when it began, which is in its step key.

    ``number``: of the entry that registered what undoes it. ``back``: the run went back over it.
    """

    path: str
    at: int
    number: int
    done: bool = False
    back: bool = False


class Books:
    """One run that has ended. ``by_hand``: the steps that an operator dealt with, and no worker did.

    ``place`` gives the node at a path, and ``first`` a path as it was before anything was renamed: both are those of the
    definition unless the run was migrated. ``again``: for each time that the run went back, the nodes that it went back
    over, by their first paths.
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
        again: Sequence[Collection[str]] = (),
    ) -> None:
        self._place = place or definition.place
        self._first = first
        self._status = status
        self._entries = entries
        self._by_hand = by_hand
        self._again = again
        self._let_go = {each.step for each in entries if each.kind is EntryKind.CHILD_GIVEN_UP}
        self._effects = self._read()

    def _read(self) -> list[Effect]:
        """What was begun, in the order in which its undo was registered."""
        back = 0
        entered: dict[str, int] = {}
        let_go: set[str] = set()
        latest: dict[str, Effect] = {}
        found: list[Effect] = []
        for number, entry in enumerate(self._entries):
            path = entry.step or ""
            if entry.kind is EntryKind.RUN_REWOUND:
                for each in [each for each in latest if self._within(each, self._again[back])]:
                    latest.pop(each).back = True
                # What was let go may still tell its end; what waited for its turn has not happened.
                kept = {each for each in entered if self._place(each).node.kind == "child"}
                entered = {
                    each: at
                    for each, at in entered.items()
                    if each in kept or not self._within(each, self._again[back])
                }
                back += 1
            elif entry.kind is EntryKind.CHILD_STARTED:
                entered[path] = back
                let_go.discard(path)
            elif entry.kind is EntryKind.CHILD_GIVEN_UP:
                let_go.add(path)
            elif entry.kind is EntryKind.QUEUED and path and entry.action == self._action(path) and not entry.attempt:
                entered[path] = back
            elif self._registers(entry):
                made = latest[path] = Effect(path, entered.pop(path, back), number)
                made.done = entry.kind is EntryKind.CHILD_ENDED and path not in let_go
                found.append(made)
            elif entry.kind is EntryKind.STEP_SUCCEEDED and path in latest:
                latest[path].done = True
        return found

    def _action(self, path: str) -> str | None:
        node = self._place(path).node
        return node.call.action if node.kind == "step" else None

    def _within(self, path: str, nodes: Collection[str]) -> bool:
        return any(below(self._first(path), each) for each in nodes)

    def _registers(self, entry: EventEntry) -> bool:
        """Whether what undoes a node is registered: when a step is sent, when another run has completed."""
        if entry.kind is EntryKind.CHILD_ENDED:
            return payloads.decode(entry.data)["status"] == RunStatus.COMPLETED
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
        places = {each.path: place for place, each in enumerate(self._effects)}
        return all(places[one] >= places[other] for one, other in pairwise(undos))

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

    def wanted(self) -> Iterator[tuple[str, int, bool]]:
        """The effects, each by its path and at how many rewinds it began, that are to be there and not undone (True).

        And those that are to be undone or impossible for ever (False).
        """
        if self._status is RunStatus.TERMINATED or any(
            each.decision and each.decision.decision == "fail" for each in self._entries
        ):
            return  # somebody wanted what was done to stay
        given_up, left = self._given_up()
        for each in self._effects:
            if self._place(each.path).node.undo is None or each.path in self._by_hand:
                continue
            over = each.back or self._before(each, given_up)
            if self._status is RunStatus.COMPLETED and each.done and not over:
                yield each.path, each.at, True
            elif (each.back or not self._before(each, left)) and not self._final(each.path):
                yield each.path, each.at, False

    def _before(self, effect: Effect, ends: list[tuple[int, str]]) -> bool:
        """Whether an effect belongs to something that ended so, and not to what ran again there later."""
        return any(effect.number < number and self._within(effect.path, [self._first(path)]) for number, path in ends)

    def _given_up(self) -> tuple[list[tuple[int, str]], list[tuple[int, str]]]:
        """Below which paths everything was to be undone, and which blocks kept what they had done; each with when."""
        given_up: list[tuple[int, str]] = []
        left: list[tuple[int, str]] = []
        for number, entry in enumerate(self._entries):
            if entry.kind is EntryKind.BRANCH_GIVEN_UP:
                given_up.append((number, entry.step or ""))
            made = entry.decision
            node = None if made is None or not made.rule else self._place(made.step).node
            if made is not None and node is not None and node.kind == "try":
                undo = node.rules[int(made.rule.split()[1].rstrip(":")) - 1].undo
                (given_up if undo else left).append((number, f"{made.step}[{made.attempt}]"))
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
