"""What a deployment means before it is done: how a workflow changes, and for how many runs that live."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from actionbus.contracts import differences, identifiers
from actionbus.contracts.definitions import Graph, WorkflowDefinition, read_graph
from actionbus.contracts.limits import Limits
from actionbus.contracts.run import WorkflowRun
from actionbus.engine.definition import Definition
from actionbus.engine.migrate import Refusal, migrate
from actionbus.provisioner.deploy import Deployed, Deployment, Verdict

_UNUSED_RETENTION_MS: Final = 0  # nothing ends here, so nothing is kept


@dataclass(slots=True, kw_only=True)
class Live:
    """The live runs of a workflow by their version: all of them, and those that could go over without a map.

    ``stay``: why the first of the others could not.
    """

    runs: Counter[str] = field(default_factory=Counter[str])
    migratable: Counter[str] = field(default_factory=Counter[str])
    stay: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """One workflow: the newest deployed version, None where there is none, and what differs from that, in sentences."""

    newest: str | None
    changes: Sequence[str] = ()
    live: "Live"


def compare(deployment: Deployment, known: Deployed, live: Live) -> Preview:
    """What a deployment means, given what is deployed and the live runs of the workflow."""
    newest = _newest(deployment.graph.name, known)
    if newest is None or deployment.verdict is Verdict.UNCHANGED:
        return Preview(newest=newest and newest.version, live=live)
    changes = differences.differences(read_graph(newest.graph), deployment.graph)
    return Preview(newest=newest.version, changes=changes, live=live)


async def count(
    runs: AsyncIterator[WorkflowRun], known: Deployed, graphs: Mapping[str, Graph], limits: Limits
) -> dict[str, Live]:
    """The live runs of each workflow; ``graphs``: what is to be deployed of it, by its name."""
    found: dict[str, Live] = {}
    targets: dict[str, Definition] = {}
    pinned: dict[str, Definition] = {}
    async for run in runs:
        live = found.setdefault(run.workflow, Live())
        live.runs[run.definition_version] += 1
        key = identifiers.definition_key(run.workflow, run.definition_version)
        if key not in known or known[key].hash != run.definition_hash:
            live.stay = live.stay or f"{key} is not deployed with the content that run {run.run_id} is pinned to"
            continue
        if key not in pinned:
            pinned[key] = Definition.deployed(known[key], limits=limits, run_retention_ms=_UNUSED_RETENTION_MS)
        if run.workflow not in targets:
            graph = graphs[run.workflow]
            targets[run.workflow] = Definition(graph, limits=limits, run_retention_ms=_UNUSED_RETENTION_MS)
        moved = migrate(run, pinned[key], targets[run.workflow], {})
        if isinstance(moved, Refusal):
            live.stay = live.stay or f"run {run.run_id}: {moved.reason}"
        else:
            live.migratable[run.definition_version] += 1
    return found


def _newest(name: str, known: Deployed) -> WorkflowDefinition | None:
    """The one that was deployed last: they stand in the order of the log."""
    return next((each for each in reversed(list(known.values())) if each.name == name), None)
