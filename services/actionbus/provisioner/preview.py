"""What a deployment means before it is done: how a workflow changes, and for how many runs that live."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from actionbus.contracts import differences
from actionbus.contracts.definitions import WorkflowDefinition, read_graph
from actionbus.contracts.run import WorkflowRun
from actionbus.provisioner.deploy import Deployed, Deployment, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """One workflow: the newest deployed version, None where there is none, and what differs from that, in sentences.

    ``live``: how many live runs are pinned to each older version.
    """

    newest: str | None
    changes: Sequence[str] = ()
    live: Mapping[str, int] = field(default_factory=dict[str, int])


def compare(deployment: Deployment, known: Deployed, live: Mapping[str, int]) -> Preview:
    """What a deployment means, given what is deployed and the live runs of the workflow by their version."""
    newest = _newest(deployment.graph.name, known)
    if newest is None or deployment.verdict is Verdict.UNCHANGED:
        return Preview(newest=newest and newest.version, live=live)
    changes = differences.differences(read_graph(newest.graph), deployment.graph)
    return Preview(newest=newest.version, changes=changes, live=live)


async def count(runs: AsyncIterator[WorkflowRun]) -> dict[str, Counter[str]]:
    """How many runs there are of each version of each workflow."""
    found: dict[str, Counter[str]] = {}
    async for run in runs:
        found.setdefault(run.workflow, Counter())[run.definition_version] += 1
    return found


def _newest(name: str, known: Deployed) -> WorkflowDefinition | None:
    """The one that was deployed last: they stand in the order of the log."""
    return next((each for each in reversed(list(known.values())) if each.name == name), None)
