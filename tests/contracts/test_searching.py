"""By what runs can be found, as definitions carry it."""

import pytest

from actionbus.contracts import checks, documents, searching
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.limits import DEFAULT_LIMITS
from engine.graphs import graph, step

DOCUMENT = b"""
name: order
version: "1"
root: {id: root, nodes: [{kind: step, id: a, call: {action: a, input: {}}}]}
actions: {a: {id: a}}
searchable: {customer: input.customer, stage: null}
"""


def test_a_document_says_by_what_runs_are_found():
    """It stands beside the limit of the workflow."""
    read = documents.read(DOCUMENT, name="order.yaml")
    assert read.searchable == {"customer": "input.customer", "stage": None}


def test_a_graph_without_is_written_as_before():
    """Definitions that were deployed keep their hashes."""
    assert b"searchable" not in graph(step("a")).canonical()


@pytest.mark.parametrize(("value", "found"), [("x", "x"), (7, "7"), (1.5, "1.5"), (True, "true"), (None, "null")])
def test_what_is_found_is_a_text(value, found):
    """A text as it is, any other scalar as JSON."""
    given = searching.of_input({"a": "input.a", "later": None}, {"a": value})
    assert given == {"a": value}
    assert searching.text_of(given["a"]) == found


@pytest.mark.parametrize("value", [{"a": [1]}, {"a": {"b": 1}}, {"a": "x" * 257}, {}])
def test_what_nobody_could_search_for_is_refused(value):
    """A list, an object, a text that is too long, and nothing."""
    with pytest.raises(PayloadRefused):
        searching.of_input({"a": "input.a"}, value)


def test_every_mistake_is_named():
    """No expression, another name than input, a member that the input does not have, a bad name, too many names."""
    schema = {"properties": {"size": {}}}
    wrong = {"a": "input.", "b": "steps.a", "c": "input.colour", "D": "input.size"}
    found = [
        each.message
        for each in checks.mistakes(graph(step("a"), searchable=wrong, input_schema=schema), DEFAULT_LIMITS)
    ]
    assert len(found) == 4
    for part in ("no CEL expression", "reads steps", "the input has size", "'D'"):
        assert any(part in message for message in found), found
    many = {f"n{number}": None for number in range(21)}
    (message,) = [each.message for each in checks.mistakes(graph(step("a"), searchable=many), DEFAULT_LIMITS)]
    assert message == "searchable has 21 names, the limit is 20"
