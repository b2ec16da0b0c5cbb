"""Where the nodes of one definition stand in another one: at the same place, under the same id or a new one."""

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from actionbus.contracts import templates
from actionbus.contracts.errors import InvariantBroken
from actionbus.contracts.payloads import Json
from actionbus.engine.definition import Definition, Place
from actionbus.engine.paths import ROOT

_PART: Final = re.compile(r"\[\d+\]|[^.\[]+")


class Stays(Exception):
    """Why a run has to stay on its version, in words."""


class Spot(NamedTuple):
    """A place of a run: its path in the new definition, and the nodes that stand there in the old and the new one."""

    path: str
    here: Place
    there: Place


class Renaming:
    """Two definitions of a workflow, and the new ids of nodes that get one. Raises Stays where a map makes no sense."""

    def __init__(self, old: Definition, new: Definition, names: Mapping[str, str]) -> None:
        self.old = old
        self.new = new
        self._names = names
        before, after = ({place.node.id for place in each.places.values()} for each in (old, new))
        for name, becomes in names.items():
            if name not in before:
                raise Stays(f"the map names {name}, and version {old.version} has no such node")
            if becomes not in after:
                raise Stays(f"the map names {becomes}, and version {new.version} has no such node")
        there: dict[str, str] = {}
        for name in before:
            other = there.setdefault(self.name(name), name)
            if other != name and self.name(name) in after:
                raise Stays(f"{other} and {name} would both be {self.name(name)}: map each to a node of its own")

    def name(self, node: str) -> str:
        """The id that a node has in the new definition, if it has one."""
        return self._names.get(node, node)

    def find(self, path: str) -> Spot | None:
        """Where the node at a run's path stands in the new definition; None when no node of its kind stands there.

        Every node around it has to be of its kind as well: that is what its position is.
        """
        before = after = ROOT
        here, there = self.old.places[ROOT], self.new.places[ROOT]
        for part in _PART.findall(path):
            if part.startswith("["):
                before, after = f"{before}{part}", f"{after}{part}"
            else:
                # Below a step stand its fallbacks, under the ids of their actions, which are no ids of nodes.
                name = part if here.node.kind == "step" else self.name(part)
                before, after = f"{before}.{part}".lstrip("."), f"{after}.{name}".lstrip(".")
            here, found = self._before(before), self.new.place(after)
            if found is None or found.node.kind != here.node.kind:
                return None
            there = found
        return Spot(after, here, there)

    def path(self, path: str) -> str:
        """The same as a path; raises Stays when there is no such place."""
        return self.spot(path).path

    def spot(self, path: str) -> Spot:
        """The same as ``find``; raises Stays when there is no such place."""
        found = self.find(path)
        if found is None:
            node = self._before(path).node
            raise Stays(
                f"{path} is needed, and version {self.new.version} has no {node.kind} there: map it to one, as in "
                f"{node.id}=NEW-ID, or wait until it is over"
            )
        return found

    def template(self, body: Json) -> Json:
        """A template of the old definition, reading nodes under their new ids."""
        if isinstance(body, list):
            return [self.template(each) for each in body]
        if not isinstance(body, dict) or (len(body) == 1 and templates.LITERAL in body):
            return body
        reference = body.get(templates.REF) if len(body) == 1 else None
        if isinstance(reference, list):
            return {templates.REF: self._reference(reference)}
        return {name: self.template(each) for name, each in body.items()}

    def _reference(self, path: list[Any]) -> list[Any]:
        if path[0] not in (templates.STEPS, templates.SCOPE) or len(path) == 1:
            return path
        return [path[0], self.name(str(path[1])), *path[2:]]

    def _before(self, path: str) -> Place:
        found = self.old.place(path)
        if found is None:
            raise InvariantBroken(f"{self.old.name}@{self.old.version} has no node at {path}")
        return found
