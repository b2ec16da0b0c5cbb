"""A graph as the engine reads it."""

from hashlib import sha256

import pytest

from actionbus.contracts.definitions import Graph, WorkflowDefinition, read_graph
from actionbus.contracts.errors import DefinitionRefused
from actionbus.contracts.limits import DEFAULT_LIMITS
from actionbus.contracts.nodes import SequenceNode
from actionbus.engine.definition import Definition
from actionbus.engine.paths import around, beside, static
from engine.graphs import DAY_MS, fallback, graph, on, ref, sequence, step, workflow


def test_every_node_stands_at_its_path():
    """Nodes, nested ones, and the fallbacks of steps: each has one place."""
    found = workflow(step("a", on("X", fallback("f")), on("Y", fallback("f"))), sequence("s", step("b"))).places
    assert list(found) == ["", "a", "a.f", "s", "s.b"]
    assert found["a.f"].parent == "a"
    assert found["s"].parent == ""


def test_a_step_may_have_the_id_of_a_fallbacks_action():
    """A reference to it means the step, not the fallback that stands elsewhere."""
    definition = workflow(step("a", on(None, fallback("f"))), step("f"), step("b", input=ref("steps", "f")))
    assert definition.source("f", "b") == "f"


def test_the_hash_is_that_of_the_graph():
    """A definition is pinned by the content of its graph, also after a journey as JSON."""
    made = graph(step("a", input={"x": ref("input")}))
    assert Definition(made, run_retention_ms=DAY_MS).hash == made.hash
    assert Definition(read_graph(made.canonical()), run_retention_ms=DAY_MS).hash == made.hash


def deployed(made, **changes):
    """A definition as an orchestrator finds it."""
    record = WorkflowDefinition.of(made, deployed_at=1, deployed_by="ada").replace(**changes)
    return Definition.deployed(record, limits=DEFAULT_LIMITS, run_retention_ms=DAY_MS)


def test_a_deployed_definition_keeps_the_hash_of_its_bytes():
    """Runs stay pinned to what was deployed, also when this version would write the same graph otherwise."""
    made = graph(step("a"))
    other = b" " + made.canonical()
    assert deployed(made).hash == made.hash
    assert deployed(made, graph=other, hash=sha256(other).hexdigest()).hash == sha256(other).hexdigest()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"hash": "0" * 64}, "has the hash"),
        ({"name": "other"}, "other@1 holds the graph of order@1"),
        ({"version": "2"}, "order@2 holds the graph of order@1"),
    ],
)
def test_a_deployed_definition_is_what_it_says(changes, why):
    """A record whose content is not what its name, version and hash say is refused."""
    with pytest.raises(DefinitionRefused, match=why):
        deployed(graph(step("a")), **changes)


def test_a_deployed_definition_is_checked():
    """What slipped past its deployer is refused by the orchestrator as well, never met by a run."""
    for malformed in ({"$ref": 5}, ref("made"), ref("steps", "b")):
        with pytest.raises(DefinitionRefused):
            deployed(graph(step("a", input=malformed), step("b")))


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (graph(step("a", input=ref("steps", "zz"))), "a reads the step 'zz', which is not there"),
        (graph(step("a"), output=ref("steps")), "the output reads the step '', which is not there"),
        (graph(step("a"), input_schema={"type": "nonsense"}), "no JSON Schema"),
        (
            Graph(name="w", version="1", root=SequenceNode(id="root", nodes=(step("a"),)), actions={}),
            "uses the action a, which the definition does not hold",
        ),
    ],
)
def test_a_graph_that_cannot_be_compiled_is_refused(made, why):
    """A definition that slipped past its check is refused before any run meets it."""
    with pytest.raises(DefinitionRefused, match=why):
        Definition(made, run_retention_ms=DAY_MS)


def test_paths_with_item_indexes():
    """The place of a run's path is the same for every item, and what an item reads is its own."""
    assert static("charge[3].book") == "charge[].book"
    assert static("a.b") == "a.b"
    assert beside("charge[].book", "charge[3].pay[7]") == "charge[3].book"
    assert beside("a[].b[].c", "a[1].b[2].d") == "a[1].b[2].c"
    assert [around(path) for path in ("a.b[3].c", "a.b[3]", "a.b", "a")] == ["a.b[3]", "a.b", "a", ""]
