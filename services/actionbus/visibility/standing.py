"""A run as the tables hold it, while a batch of events is applied to it. Mutable, and gone after the batch or kept."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from actionbus.engine.paths import below

_NAME: Final = re.compile(r"[^.\[\]]+")  # of a node within a path; between brackets stand numbers

RunKey = tuple[str, str]
"""A run: its id and its incarnation."""


@dataclass(slots=True)
class Node:
    """One step, or one node that waits: a row of the steps."""

    path: str
    status: str
    action: str | None = None
    attempt: int = 0
    first_scheduled_at: int | None = None
    scheduled_at: int | None = None
    ended_at: int | None = None
    error_type: str | None = None
    error_message: str | None = None
    waits_for: str | None = None
    stuck: str | None = None
    stuck_since: int | None = None

    @property
    def live(self) -> bool:
        """Whether it has not ended."""
        return self.ended_at is None


@dataclass(slots=True)
class Task:
    """What happened to one open task in a batch. ``opened``: it was opened here; ``closed``: it is none any more."""

    opened: bool = False
    closed: bool = False
    form: str = ""
    title: str | None = None
    assignee: str | None = None
    reassigned: bool = False
    opened_at: int = 0
    due_at: int | None = None
    overdue: bool = False


@dataclass(slots=True)
class Standing:
    """One run: a row of the runs, those of its steps that are in hand, and what changed in this batch."""

    run_id: str
    incarnation: str
    workflow: str
    definition_version: str
    status: str
    version: int
    first_version: int
    created_at: int
    updated_at: int
    ended_at: int | None = None
    error_type: str | None = None
    error_message: str | None = None
    incident_reason: str | None = None
    incident_step: str | None = None
    incident_since: int | None = None
    parent_run_id: str | None = None
    parent_incarnation: str | None = None
    parent_path: str | None = None
    waits_for: str | None = None
    live_steps: int = 0
    nodes: dict[str, Node] = field(default_factory=dict[str, Node])
    changed: set[str] = field(default_factory=set[str])
    tasks: dict[str, Task] = field(default_factory=dict[str, Task])
    closes_all_tasks: bool = False
    renamed: dict[str, str] = field(default_factory=dict[str, str])
    attributes: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def key(self) -> RunKey:
        """Which run it is."""
        return self.run_id, self.incarnation

    def node(self, path: str) -> Node:
        """The node at a path, which changes now; one that nobody knew begins to live."""
        self.changed.add(path)
        found = self.nodes.get(path)
        if found is None:
            found = self.nodes[path] = Node(path=path, status="PENDING")
            self.live_steps += 1
        return found

    def task(self, path: str) -> Task:
        """The task at a path, which changes now."""
        return self.tasks.setdefault(path, Task())

    def end(self, node: Node, status: str, at: int) -> None:
        """A node has ended."""
        if node.ended_at is None:
            self.live_steps -= 1
        node.status, node.ended_at, node.waits_for = status, at, None

    def revive(self, node: Node) -> None:
        """A node that had ended goes on, to be undone or tried again."""
        if node.ended_at is not None:
            node.ended_at = None
            self.live_steps += 1

    def sweep(self, path: str, at: int, *, all_: bool = False) -> None:
        """Nodes at and below a path are given up: those that only wait, or all that live."""
        for node in [each for each in self.nodes.values() if each.live and below(each.path, path)]:
            if all_ or (node.action is None and node.status != "COMPENSATING"):
                self.changed.add(node.path)
                self.end(node, "CANCELLED", at)
                node.stuck = node.stuck_since = None
        if not path:
            self.closes_all_tasks = True
            self.tasks.clear()
            return
        for each in [each for each in self.nodes if below(each, path)]:
            self.task(each).closed = True

    def rename(self, names: Mapping[str, str]) -> None:
        """Nodes have other names under the version that the run goes over to; those that were sent keep theirs."""
        for old, node in list(self.nodes.items()):
            new = _NAME.sub(lambda part: names.get(part[0], part[0]), old)
            if new != old and node.live:
                self.renamed[old] = new
                self.changed.discard(old)
                del self.nodes[old]
                node.path = new
                self.nodes[new] = node
                self.changed.add(new)

    def tell_incident(self) -> None:
        """The run waits for an operator as long as one of its steps does: the first of them is its incident."""
        stuck = [each for each in self.nodes.values() if each.stuck is not None]
        first = min(stuck, key=lambda each: (each.stuck_since or 0, each.path), default=None)
        self.incident_reason = None if first is None else first.stuck
        self.incident_step = None if first is None else first.path
        self.incident_since = None if first is None else first.stuck_since

    def settle(self) -> None:
        """The batch is written: what changed in it is forgotten, and so are nodes that have ended."""
        self.nodes = {path: node for path, node in self.nodes.items() if node.live}
        self.changed.clear()
        self.tasks.clear()
        self.renamed.clear()
        self.attributes.clear()
        self.closes_all_tasks = False


def known(nodes: Iterable[Node]) -> dict[str, Node]:
    """Nodes by path."""
    return {node.path: node for node in nodes}
