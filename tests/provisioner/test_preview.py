"""What a deployment means is said against the version that was deployed last, and for the runs that live."""

from actionbus.contracts.definitions import WorkflowDefinition
from actionbus.contracts.run import RunStatus, WorkflowRun
from actionbus.provisioner import preview
from actionbus.provisioner.deploy import Deployment, Verdict
from engine.graphs import graph, step


def _known(*graphs):
    """Definitions in the order in which they were deployed."""
    return {
        f"{each.name}@{each.version}": WorkflowDefinition.of(each, deployed_at=1, deployed_by="") for each in graphs
    }


def test_a_new_version_is_compared_with_the_one_deployed_last():
    """The order of deployment counts, not that of the versions' names; other workflows are passed over."""
    known = _known(graph(step("a"), version="2"), graph(step("b"), version="1"), graph(step("c"), name="other"))
    deployment = Deployment(graph=graph(step("b"), step("d"), version="3"), verdict=Verdict.NEW)
    found = preview.compare(deployment, known, {"1": 2})
    assert (found.newest, list(found.changes), found.live) == ("1", ["step d is new, after b"], {"1": 2})


def test_there_is_nothing_to_say_of_what_is_new_or_unchanged():
    """A first version has nothing before it, and one that is there already changes nothing."""
    first = preview.compare(Deployment(graph=graph(step("a")), verdict=Verdict.NEW), {}, {})
    assert (first.newest, first.changes) == (None, ())
    again = Deployment(graph=graph(step("a")), verdict=Verdict.UNCHANGED)
    assert preview.compare(again, _known(graph(step("a"))), {}).changes == ()


async def test_runs_are_counted_by_their_version():
    """Each workflow has its own count, and in it each version."""

    async def runs():
        for workflow, version in (("a", "1"), ("a", "2"), ("a", "1"), ("b", "1")):
            yield WorkflowRun(
                run_id="r",
                incarnation="0",
                workflow=workflow,
                definition_version=version,
                definition_hash="",
                status=RunStatus.RUNNING,
                version=1,
                txn_seq=1,
                start_request_id="s",
                created_at=1,
                updated_at=1,
            )

    assert await preview.count(runs()) == {"a": {"1": 2, "2": 1}, "b": {"1": 1}}
