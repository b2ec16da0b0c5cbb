"""The runs that a batch is about, as the tables hold them: only those rows that its events need."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from actionbus.contracts.events import WorkflowEvent
from actionbus.visibility import bulk, reach
from actionbus.visibility.standing import Node, RunKey, Standing, known
from actionbus.visibility.tables import RUNS, STEPS

_RUN: Final = ("generation", "run_id", "incarnation")
_NODE: Final = (*_RUN, "path")
_OF_RUN: Final = tuple(name for name in RUNS.columns.keys() if name != "generation")  # noqa: SIM118 - not a mapping
_OF_NODE: Final = tuple(name for name in STEPS.columns.keys() if name not in _RUN)  # noqa: SIM118 - the same


async def load(
    connection: AsyncConnection,
    generation: int,
    shares: Iterable[tuple[Iterable[WorkflowEvent], Mapping[RunKey, Standing]]],
) -> dict[RunKey, Standing]:
    """The runs of some events, as far as they are there, with the nodes that the events are about.

    ``shares``: the events of each partition, and its runs whose rows are known, with all of their live nodes.
    """
    needs = _Needs()
    for events, remembered in shares:
        for event in events:
            needs.add(event, remembered)
    found = needs.remembered
    for row in await bulk.select(connection, RUNS, _RUN, [(generation, *key) for key in sorted(needs.unknown)]):
        run = _run(row)
        found[run.key] = run
    lacking = [(generation, *key, path) for *key, path in sorted(needs.lacking) if tuple(key) in found]
    for row in await bulk.select(connection, STEPS, _NODE, lacking):
        _hold(found, row)
    live = [(generation, *key) for key in sorted(needs.sweeping) if key in found and found[key].live_steps]
    for row in await bulk.select(connection, STEPS, _RUN, live, "t.ended_at IS NULL"):
        _hold(found, row)
    return found


@dataclass(slots=True)
class _Needs:
    """What has to be read before events can be applied."""

    remembered: dict[RunKey, Standing] = field(default_factory=dict[RunKey, Standing])
    unknown: set[RunKey] = field(default_factory=set[RunKey])
    lacking: set[tuple[str, str, str]] = field(default_factory=set[tuple[str, str, str]])
    sweeping: set[RunKey] = field(default_factory=set[RunKey])

    def add(self, event: WorkflowEvent, remembered: Mapping[RunKey, Standing]) -> None:
        """An event is to be applied."""
        key = (event.run_id, event.incarnation)
        run = remembered.get(key)
        if run is not None:
            self.remembered[key] = run
        else:
            self.unknown.add(key)
            if event.version == 1:  # it finds nothing, or was written before
                return
        for entry in event.entries:
            if run is None and reach.sweeps(entry):
                self.sweeping.add(key)
            if entry.step is None:
                continue
            if run is None or (entry.step not in run.nodes and not reach.begins(entry)):
                self.lacking.add((*key, entry.step))


def _run(row: Any) -> Standing:
    return Standing(**{name: getattr(row, name) for name in _OF_RUN})


def _hold(found: Mapping[RunKey, Standing], row: Any) -> None:
    nodes = found[row.run_id, row.incarnation].nodes
    if row.path not in nodes:
        nodes.update(known([Node(**{name: getattr(row, name) for name in _OF_NODE})]))


def run_row(generation: int, run: Standing) -> tuple[Any, ...]:
    """The row of a run."""
    return generation, *(getattr(run, name) for name in _OF_RUN)


def node_rows(generation: int, run: Standing) -> Sequence[tuple[Any, ...]]:
    """The rows of the nodes of a run that changed."""
    return [
        (generation, run.run_id, run.incarnation, *(getattr(run.nodes[path], name) for name in _OF_NODE))
        for path in run.changed
    ]
