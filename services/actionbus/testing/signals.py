"""Signals that a test hands to its run: each when the run waits for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_jsonable_python

from actionbus.contracts import payloads
from actionbus.contracts.definitions import Graph
from actionbus.contracts.errors import DefinitionRefused
from actionbus.contracts.nodes import Waiting
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.contracts.run import WorkflowRun
from actionbus.engine.definition import Definition
from actionbus.sdk import duration
from actionbus.sdk.duration import Duration


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal, delivered so long ``after`` the run began to wait for it."""

    name: str
    payload: Any = None
    after: Duration = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """A signal that a run waits for, and when it comes."""

    signal: Signal
    due_at: int


class Signals:
    """Those that were not delivered yet. Of one name they come in their order."""

    def __init__(self, graph: Graph, signals: Sequence[Signal]) -> None:
        known = {node.signal for _, node, _ in graph.nodes() if isinstance(node, Waiting)}
        for each in signals:
            if each.name not in known:
                listed = ", ".join(sorted(known)) or "none"
                raise DefinitionRefused(f"workflow {graph.name} waits for no signal {each.name}; it waits for {listed}")
        self._left = list(signals)
        self._awaited: dict[str, int] = {}  # since when

    def next(self, waits: Sequence[str], now: int) -> Delivery | None:
        """The one that comes next of those that are waited for."""
        self._awaited = {name: self._awaited.get(name, now) for name in waits}
        heads = {each.name: each for each in reversed(self._left)}  # the first of each name stays
        coming = [
            Delivery(each, self._awaited[each.name] + duration.milliseconds(each.after, what="after"))
            for each in self._left
            if each.name in self._awaited and each is heads[each.name]
        ]
        return min(coming, key=lambda each: each.due_at, default=None)

    def deliver(self, signal: Signal, run_id: str) -> WorkflowRequest:
        """The request that hands it over."""
        place = next(place for place, each in enumerate(self._left) if each is signal)
        del self._left[place]
        del self._awaited[signal.name]
        return WorkflowRequest(
            request_id=f"signal-{len(self._left)}",
            run_id=run_id,
            kind=RequestKind.SIGNAL,
            signal=signal.name,
            payload=payloads.encode(to_jsonable_python(signal.payload)),
        )


def awaited(definition: Definition, run: WorkflowRun) -> tuple[str, ...]:
    """The signals that a run waits for, the longest awaited first."""
    nodes = [place.node for scope in run.scopes if (place := definition.place(scope.path)) is not None]
    return tuple(dict.fromkeys(node.signal for node in nodes if isinstance(node, Waiting)))
