"""What a limit becomes when the shards of an installation share it out: a word where that is not its number."""

from collections.abc import Iterator

from actionbus.contracts.definitions import Graph

_WAY_OUT = "then they share a shard"


def warnings(graph: Graph, shards: int) -> Iterator[str]:
    """Where an installation of so many shards cannot keep a limit of a graph to the letter, in sentences."""
    limits = [("the workflow", graph.limit), *((f"action {name}", spec.limit) for name, spec in graph.actions.items())]
    for where, limit in limits:
        if limit is None or shards == 1:
            continue
        if limit.key is not None:
            yield (
                f"{graph.name}: the limit of {where} is counted in each of the {shards} shards for itself: start runs "
                f"of one key with that key as their partition key, {_WAY_OUT}"
            )
        elif limit.concurrency is not None and limit.concurrency < shards:
            yield (
                f"{graph.name}: {where} may run {limit.concurrency} at a time, but each of the {shards} shards lets "
                f"one run: up to {shards}. Start its runs with one partition key, {_WAY_OUT} and run one at a time"
            )
