"""What whoever deploys is told about limits."""

from actionbus.contracts.limiting import LimitPolicy
from actionbus.provisioner import shares
from engine.graphs import action, graph, step


def test_a_limit_that_cannot_be_kept_to_the_letter_is_told():
    """Fewer at a time than there are shards, and a key; what can be kept is not spoken of."""

    def says(limit, shards):
        """The warnings of one action and of a whole workflow with that limit."""
        one = graph(step("a"), step("b"), actions=[action("a", limit=limit)])
        whole = graph(step("a"), limit=limit)
        return [warning for each in (one, whole) for warning in shares.warnings(each, shards)]

    few, rate, keyed = LimitPolicy(concurrency=3), LimitPolicy(rate=1), LimitPolicy(concurrency=9, key="input.a")
    assert [len(says(limit, 4)) for limit in (few, rate, keyed)] == [2, 0, 2]
    assert [len(says(limit, 3)) for limit in (few, rate, keyed)] == [0, 0, 2]
    assert [len(says(limit, 1)) for limit in (few, rate, keyed)] == [0, 0, 0]
    assert says(few, 4)[0] == (
        "order: action a may run 3 at a time, but each of the 4 shards lets one run: up to 4. "
        "Start its runs with one partition key, then they share a shard and run one at a time"
    )
