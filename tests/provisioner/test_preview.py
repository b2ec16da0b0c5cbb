"""What a deployment means is said against the version that was deployed last, and for the runs that live."""

from actionbus.contracts.definitions import WorkflowDefinition
from actionbus.contracts.limits import DEFAULT_LIMITS
from actionbus.provisioner import preview
from actionbus.provisioner.deploy import Deployment, Verdict
from actionbus.provisioner.preview import Live
from engine.graphs import compiled, graph, step
from engine.play import started


def _known(*graphs):
    """Definitions in the order in which they were deployed."""
    return {
        f"{each.name}@{each.version}": WorkflowDefinition.of(each, deployed_at=1, deployed_by="") for each in graphs
    }


def test_a_new_version_is_compared_with_the_one_deployed_last():
    """The order of deployment counts, not that of the versions' names; other workflows are passed over."""
    known = _known(graph(step("a"), version="2"), graph(step("b"), version="1"), graph(step("c"), name="other"))
    deployment = Deployment(graph=graph(step("b"), step("d"), version="3"), verdict=Verdict.NEW)
    found = preview.compare(deployment, known, Live())
    assert (found.newest, list(found.changes)) == ("1", ["step d is new, after b"])


def test_there_is_nothing_to_say_of_what_is_new_or_unchanged():
    """A first version has nothing before it, and one that is there already changes nothing."""
    first = preview.compare(Deployment(graph=graph(step("a")), verdict=Verdict.NEW), {}, Live())
    assert (first.newest, first.changes) == (None, ())
    again = Deployment(graph=graph(step("a")), verdict=Verdict.UNCHANGED)
    assert preview.compare(again, _known(graph(step("a"))), Live()).changes == ()


async def test_runs_are_counted_by_their_version_and_by_whether_they_could_go_over():
    """Each workflow has its own count, and in it each version; why the first one would have to stay is told."""
    old = [graph(step("a"), version="1"), graph(step("b"), version="2"), graph(step("a"), name="other")]
    known = _known(*old)
    lives = [started(compiled(each)).run for each in (old[0], old[1], old[0], old[2])]
    lives.append(lives[0].replace(run_id="lost", definition_hash="another content"))

    async def runs():
        for run in lives:
            yield run

    graphs = {"order": graph(step("a"), step("c"), version="3"), "other": graph(step("x"), name="other", version="3")}
    found = await preview.count(runs(), known, graphs, DEFAULT_LIMITS)
    assert found["order"].runs == {"1": 3, "2": 1}
    assert found["order"].migratable == {"1": 2}
    assert found["order"].stay.startswith("run r-1: b is needed, and version 3 has no step there")
    assert (found["other"].runs, found["other"].migratable) == ({"1": 1}, {})


async def test_a_run_of_a_content_that_is_not_deployed_is_only_counted():
    """Nobody can say whether such a run could go over."""
    run = started(compiled(graph(step("a")))).run.replace(definition_hash="another content")

    async def runs():
        yield run

    known = _known(graph(step("a")))
    found = await preview.count(runs(), known, {"order": graph(step("a"), version="2")}, DEFAULT_LIMITS)
    assert (found["order"].runs, found["order"].migratable) == ({"1": 1}, {})
    assert "order@1 is not deployed with the content that run r-1 is pinned to" in found["order"].stay
