"""Where partitions end, asked of many of them at once."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from aiokafka.protocol.offset import OffsetRequest

from actionbus.kafka import cluster, outcomes
from actionbus.kafka.batches import Partition

CONSUMER: Final = -1  # the asker, who is no broker
LATEST: Final = -1


async def ends(brokers: cluster.Cluster, places: Iterable[Partition], *, committed: bool) -> dict[Partition, int]:
    """The ends of partitions, with one question to each broker; what no broker answers for now is left out.

    ``committed``: as seen by readers of committed records, or of all. Raises TopicMissing, or Unavailable where nobody
    tells who leads a partition.
    """
    parts: defaultdict[int, defaultdict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    for topic, partition in places:
        parts[await brokers.find_leader(topic, partition)][topic].append((partition, LATEST))
    found: dict[Partition, int] = {}
    for node, topics in parts.items():
        try:
            reply: Any = await brokers.send(node, OffsetRequest(CONSUMER, int(committed), list(topics.items())))
        except cluster.Silence:
            await brokers.refresh()
            continue
        for topic, answers in reply.topics:
            for partition, code, _time, offset in (answer[:4] for answer in answers):
                if code == outcomes.NONE:
                    found[topic, partition] = int(offset)
                elif code in outcomes.RETRIABLE_FETCH:
                    await brokers.refresh()
    return found
