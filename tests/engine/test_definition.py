"""A graph as the engine reads it."""

import pytest

from actionbus.contracts.definitions import Graph, SequenceNode, read_graph
from actionbus.contracts.errors import DefinitionRefused
from actionbus.engine.definition import Definition, around, beside, static
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
