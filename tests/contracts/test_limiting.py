"""Limits as definitions carry them: their keys, their words, and what cannot be kept."""

import pytest

from actionbus.contracts import checks, documents
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.limiting import LimitPolicy
from actionbus.contracts.limits import DEFAULT_LIMITS
from engine.graphs import action, graph, step

DOCUMENT = b"""
name: order
version: "1"
root: {id: root, nodes: [{kind: step, id: a, call: {action: a, input: {}}}]}
actions: {a: {id: a, limit: {concurrency: 20, rate: 100, per_ms: 500, key: input.customer}}}
limit: {concurrency: 1}
"""


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [
        (None, {"a": 1}, ""),
        ("input.a", {"a": "x"}, "x"),
        ("input.a", {"a": 7}, "7"),
        ("input.a + '/' + string(input.b)", {"a": "x", "b": 1}, "x/1"),
        ("input", "text", "text"),
    ],
)
def test_a_key_is_text(key, value, found):
    """A text, or a number in words; without a key everything is counted together."""
    assert LimitPolicy(concurrency=1, key=key).key_of(value) == found


@pytest.mark.parametrize("value", [{}, {"a": None}, {"a": [1]}, {"a": {"b": 1}}, {"a": "x" * 201}])
def test_what_is_no_key_is_refused(value):
    """Nothing, null, a list, an object, and a text that is too long."""
    with pytest.raises(PayloadRefused):
        LimitPolicy(concurrency=1, key="input.a").key_of(value)


def test_a_limit_says_what_it_is():
    """For histories and for operators."""
    assert LimitPolicy(concurrency=2, rate=5, per_ms=60_000, key="input.a").words == (
        "2 at a time and 5 in 60000 ms for each input.a"
    )


def test_a_document_has_limits():
    """They stand where an action and a workflow are described."""
    read = documents.read(DOCUMENT, name="order.yaml")
    assert read.actions["a"].limit == LimitPolicy(concurrency=20, rate=100, per_ms=500, key="input.customer")
    assert read.limit == LimitPolicy(concurrency=1)


def test_every_mistake_of_a_limit_is_named():
    """One that limits nothing, and a key that is no expression or reads what is not there."""
    schema = {"properties": {"name": {}, "size": {}}}
    made = graph(
        step("a"),
        actions=[action("a", limit=LimitPolicy(concurrency=1, key="input.nmae + input.size"), input_schema=schema)],
        limit=LimitPolicy(key="run.id"),
    )
    assert [mistake.message for mistake in checks.mistakes(made, DEFAULT_LIMITS)] == [
        "the limit of the workflow limits nothing: give it a concurrency or a rate",
        "the key of the limit of the workflow: 'run.id' reads run, which is not bound: it knows input",
        "the key of the limit of action a: 'input.nmae + input.size' reads input.nmae: the input has name, size",
    ]
