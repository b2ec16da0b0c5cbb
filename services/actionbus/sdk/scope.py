"""Whose a reference is: a workflow's, a block's in it, an undo's. Read outside of it, it means nothing."""

from dataclasses import dataclass, field

from actionbus.contracts.nodes import Node


@dataclass(slots=True, eq=False)
class Scope:
    """Something that is being written. ``outside`` is said of a reference to it that is read where it is not open."""

    outside: str
    nodes: list[Node] = field(default_factory=list[Node])
