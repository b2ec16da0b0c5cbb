"""What a limit becomes when it is shared out over the shards of an installation: a word where that is not the number."""

from collections.abc import Iterator

from actionbus.contracts.definitions import Graph


def warnings(graph: Graph, shards: int) -> Iterator[str]:
    """Where an installation of so many shards cannot keep a limit of a graph to the letter, in sentences."""
    limits = [("the workflow", graph.limit), *((f"action {name}", spec.limit) for name, spec in graph.actions.items())]
    for where, limit in limits:
        if limit is None or shards == 1:
            continue
        if limit.key is not None:
            yield (
                f"{graph.name}: the limit of {where} is counted in each of the {shards} shards for itself: start runs of "
                "one key with the key as their partition key, then they share a shard"
            )
        elif limit.concurrency is not None and limit.concurrency < shards:
            yield (
                f"{graph.name}: {where} may run {limit.concurrency} at a time, but each of the {shards} shards lets one "
                f"run: up to {shards}. Start its runs with one partition key, then they share a shard and run one at a time"
            )
