"""Limits as users write them."""

import pytest

from actionbus import DefinitionRefused, Flow, Limit, action, workflow
from actionbus.contracts.limiting import LimitPolicy


def test_a_limit_becomes_a_policy():
    """The period of the rate is in milliseconds, everything else is kept."""
    written = Limit(concurrency=3, rate="100/1m30s", key="input.id")
    assert written.policy == LimitPolicy(concurrency=3, rate=100, per_ms=90_000, key="input.id")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({}, "limits nothing"),
        ({"concurrency": 0}, "concurrency"),
        ({"rate": "0/1s"}, "rate"),
        ({"rate": "100"}, 'write "100/1s"'),
        ({"rate": "100/s"}, 'write "100/1s"'),
        ({"rate": "1/0s"}, "per_ms"),
        ({"rate": "1/2d"}, "per_ms"),
        ({"concurrency": 1, "key": "input."}, "no CEL expression"),
        ({"concurrency": 1, "key": "steps.a"}, "reads steps, which is not bound"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_where_it_is_written(wrong, says):
    """The constructor refuses it, and says what to write."""
    with pytest.raises(DefinitionRefused, match=says):
        Limit(**wrong)


def test_a_limit_is_carried_in_the_definition():
    """An action's beside its retries, a workflow's beside its timeout; none is written where there is none."""

    @action(id="a", limit=Limit(concurrency=2, key="input.name"))
    def limited(name: str) -> str:
        return name

    @action(id="b")
    def free(name: str) -> str:
        return name

    @workflow(id="w", version="1", limit=Limit(rate="5/1s"))
    def whole(flow: Flow, name: str) -> str:
        flow.run(limited(name=name))
        return flow.run(free(name=name))

    graph = whole.graph
    assert graph.actions["a"].limit == LimitPolicy(concurrency=2, key="input.name")
    assert graph.limit == LimitPolicy(rate=5)
    written = graph.model_dump(mode="json")
    assert written["limit"] == {"rate": 5}
    assert "limit" not in written["actions"]["b"]


def test_a_key_reads_what_there_is():
    """A name that the input does not have is found before anything runs; a method is no name."""

    @action(id="a", limit=Limit(concurrency=2, key="input.nmae"))
    def mistyped(name: str) -> str:
        return name

    @workflow(id="w", version="1")
    def whole(flow: Flow, name: str) -> str:
        return flow.run(mistyped(name=name))

    with pytest.raises(DefinitionRefused, match=r"reads input\.nmae: the input has name"):
        _ = whole.graph

    @workflow(id="w", version="1", limit=Limit(concurrency=1, key="input.startsWith('a') ? 'a' : 'b'"))
    def method(flow: Flow, name: str) -> str:
        flow.sleep("1s")
        return name

    assert method.graph.limit is not None
