"""A run as it is drawn while somebody watches: the tree of its nodes, each with where it stands and for how long."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.style import Style
from rich.text import Text
from rich.tree import Tree

from actionbus.cli import output
from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.engine import paths

_STANDS: Final[Mapping[EntryKind, tuple[str, str]]] = {
    EntryKind.QUEUED: ("queued", "yellow"),
    EntryKind.STEP_SCHEDULED: ("at work", "cyan"),
    EntryKind.STEP_DEFERRED: ("waits for an answer", "yellow"),
    EntryKind.STEP_SUCCEEDED: ("done", "green"),
    EntryKind.STEP_COMPLETED: ("done by hand", "green"),
    EntryKind.STEP_FAILED: ("failed", "red"),
    EntryKind.STEP_TIMED_OUT: ("timed out", "red"),
    EntryKind.STEP_IN_DOUBT: ("unknown", "bold red"),
    EntryKind.STEP_SKIPPED: ("skipped", "dim"),
    EntryKind.STEP_CANCELLED: ("given up", "dim"),
    EntryKind.COMPENSATION_SCHEDULED: ("being undone", "yellow"),
    EntryKind.COMPENSATION_FAILED: ("undo failed", "red"),
    EntryKind.STEP_COMPENSATED: ("undone", "dim"),
    EntryKind.INCIDENT_OPENED: ("waits for an operator", "bold red"),
    EntryKind.WAIT_BEGAN: ("waits", "yellow"),
    EntryKind.WAIT_ENDED: ("done", "green"),
    EntryKind.TASK_OPENED: ("waits for a person", "yellow"),
    EntryKind.CHILD_STARTED: ("runs", "cyan"),
    EntryKind.CHILD_ENDED: ("done", "green"),
    EntryKind.CHILD_GIVEN_UP: ("given up", "dim"),
    EntryKind.BRANCH_GIVEN_UP: ("given up", "dim"),
}
_UNDER_WAY: Final = frozenset({"queued", "at work", "waits", "runs", "being undone", "backing off"})
STATUS_STYLES: Final[Mapping[str, str]] = {
    "RUNNING": "cyan",
    "PAUSED": "yellow",
    "COMPENSATING": "yellow",
    "COMPLETED": "green",
    "FAILED": "red",
    "TIMED_OUT": "red",
    "CANCELLED": "dim",
    "TERMINATED": "dim",
}
_FIRST_LINES: Final = 200  # nodes that are drawn; more do not fit any terminal


@dataclass(slots=True)
class Node:
    """Where one node stands."""

    stands: str = ""
    style: str = ""
    action: str | None = None
    attempt: int | None = None
    since: int = 0
    until: int | None = None
    why: str = ""


class Board:
    """What is drawn of one run. It takes events in order and gives what rich can show."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.last: WorkflowEvent | None = None
        self.began = 0
        self.waits: list[str] = []
        """What has to happen before the run goes on, in sentences."""
        self.nodes: dict[str, Node] = {}

    def take(self, event: WorkflowEvent) -> None:
        """Go on to where an event leads."""
        if event.version == 0:
            return  # the verdict on a request that changed nothing
        if self.last is not None and event.incarnation != self.last.incarnation:
            self.nodes, self.began = {}, 0
        self.last = event
        self.began = self.began or event.at
        for entry in event.entries:
            self._entry(entry, event.at)

    def draw(self, now: int) -> RenderableType:
        """All of it, ``now`` in milliseconds."""
        if self.last is None:
            return Text(f"{self.run_id}: nothing has happened yet")
        end = self.last.at if self.last.status.ended else now
        title = Text.assemble(
            (output.plain(self.run_id), "bold"),
            f"  {self.last.workflow}@{self.last.definition_version}  ",
            (self.last.status.value, STATUS_STYLES.get(self.last.status.value, "")),
            f"  {elapsed(end - self.began)}",
        )
        tree = Tree(title, guide_style=Style(dim=True))
        branches: dict[str, Tree] = {}
        for path, node in list(self.nodes.items())[-_FIRST_LINES:]:
            parent, name = tree, path
            above = paths.around(path)
            if above:
                parent, name = self._branch(above, tree, branches), _below(path, above)
            branches[path] = parent.add(_line(name, node, now))
        if not self.waits or self.last.status.ended:
            return tree
        return Group(tree, *(Text(f"waits for {output.plain(each)}", style="yellow") for each in self.waits))

    def _branch(self, path: str, root: Tree, branches: dict[str, Tree]) -> Tree:
        if path not in branches:
            above = paths.around(path)
            parent = self._branch(above, root, branches) if above else root
            branches[path] = parent.add(Text(output.plain(_below(path, above))))
        return branches[path]

    def _entry(self, entry: EventEntry, at: int) -> None:
        if entry.step is None:
            return
        if entry.kind is EntryKind.DECISION and entry.decision is not None:
            node = self.nodes.setdefault(entry.step, Node())
            node.why = ": ".join(part for part in (entry.decision.decision, entry.decision.reason) if part)
            if entry.decision.decision == "retry":
                node.stands, node.style, node.since, node.until = "backing off", "yellow", at, None
            return
        found = _STANDS.get(entry.kind)
        if found is None:
            return
        node = self.nodes.setdefault(entry.step, Node())
        node.stands, node.style = found
        node.action, node.attempt = entry.action or node.action, entry.attempt or node.attempt
        node.why = entry.reason or _awaited(entry)
        if node.stands in _UNDER_WAY:
            node.since, node.until = at, None
        else:
            node.until = at


def elapsed(milliseconds: int) -> str:
    """A length of time, as short as a person wants it."""
    seconds = max(0, milliseconds) / 1000
    if seconds < 10:  # noqa: PLR2004 - below it tenths are interesting
        return f"{seconds:.1f}s"
    whole = int(seconds)
    for length, unit, below in ((86_400, "d", 3_600), (3_600, "h", 60), (60, "m", 1)):
        if whole >= length:
            rest = whole % length // below
            return f"{whole // length}{unit}" + (
                f"{rest}{ {86_400: 'h', 3_600: 'm', 60: 's'}[length] }" if rest else ""
            )
    return f"{whole}s"


def _below(path: str, above: str) -> str:
    return path.removeprefix(above).removeprefix(".")


def _line(name: str, node: Node, now: int) -> Text:
    line = Text(output.plain(name))
    line.append(f"  {node.stands}", style=node.style)
    if node.attempt is not None and node.attempt > 1:
        line.append(f"  attempt {node.attempt}")
    if node.since:
        line.append(f"  {elapsed((node.until or now) - node.since)}", style="dim")
    if node.why:
        line.append(f"  {output.plain(node.why)[:120]}", style="dim")
    return line


def _awaited(entry: EventEntry) -> str:
    data: Any = output.opened(entry.data)
    if entry.kind not in (EntryKind.WAIT_BEGAN, EntryKind.TASK_OPENED, EntryKind.CHILD_STARTED, EntryKind.STEP_FAILED):
        return ""
    return (
        data.get("message") or ", ".join(f"{name} {value}" for name, value in data.items())
        if isinstance(data, dict)
        else ""
    )
