"""Transactions that hold readers of committed records back: where each begins, and whether anybody will ever end it.

A partition may have a transaction open of which no coordinator knows, as after data that was not copied at one instant.
Nobody ends such a one by himself (KIP-664 calls it hanging). What is to be done about it is not decided here.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from actionbus.kafka import clients, cluster, inquiries, outcomes
from actionbus.kafka.batches import Partition

_OPEN_STATES: Final = frozenset({"Ongoing", "PrepareCommit", "PrepareAbort", "PrepareEpochFence"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTransaction:
    """A transaction that has not ended in a partition."""

    topic: str
    partition: int
    offset: int
    """Of its first record there: committed readers see nothing from here on."""
    producer_id: int
    last_ms: int
    """When its producer wrote last, epoch milliseconds."""
    transactional_id: str | None
    """Whose it is; None: no coordinator has it open, so nobody will end it."""


async def find(brokers: cluster.Cluster, places: Iterable[Partition]) -> list[OpenTransaction]:
    """The transactions that are open in these partitions; what no broker answers for now is left out.

    One that no coordinator knows of is looked for once more: it may have ended while they were asked. Where the user
    may not describe a transactional id, brokers keep silent about it. Raises Unavailable, or AccessRefused.
    """
    wanted = list(places)
    try:
        found = await writing(brokers, wanted)
        if not found:
            return []
        owners = await _owners(brokers, sorted({each.producer_id for each in found}))
        orphans = [each for each in found if _owner(owners, each) is None]
        still = await writing(brokers, [each.place for each in orphans]) if orphans else {}
    except cluster.Silence as error:
        raise outcomes.failure(error, "looking for open transactions") from error
    return [
        OpenTransaction(
            topic=each.place[0],
            partition=each.place[1],
            offset=each.offset,
            producer_id=each.producer_id,
            last_ms=last_ms,
            transactional_id=_owner(owners, each),
        )
        for each, last_ms in sorted(found.items())
        if each not in orphans or each in still
    ]


class Writing(NamedTuple):
    """A transaction as a partition knows it."""

    place: Partition
    offset: int
    producer_id: int
    epoch: int


_Owners = dict[tuple[int, Partition], tuple[str, int]]
"""Producer and partition -> the transactional id that a coordinator has open there, and its epoch."""


def _owner(owners: _Owners, found: Writing) -> str | None:
    """Whose a transaction is; a coordinator that is behind its epoch knows an earlier one only."""
    transactional_id, epoch = owners.get((found.producer_id, found.place), (None, 0))
    return transactional_id if epoch >= found.epoch else None


async def writing(brokers: cluster.Cluster, places: Iterable[Partition]) -> dict[Writing, int]:
    """Each transaction that is open -> when its producer wrote last; what no broker answers for now is left out.

    Raises one of `cluster.Silence`, or what the broker refused.
    """
    parts: defaultdict[int, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for topic, partition in places:
        parts[await brokers.find_leader(topic, partition)][topic].append(partition)
    found: dict[Writing, int] = {}
    for node, topics in parts.items():
        reply: Any = await brokers.send(node, inquiries.DescribeProducers(topics))
        for topic, partitions, _ in reply.topics:
            for partition, code, _message, producers, _ in partitions:
                if code in outcomes.RETRIABLE_FETCH:
                    continue
                if code != outcomes.NONE:
                    raise outcomes.refusal(code, f"looking for open transactions of topic {topic}")
                for producer_id, epoch, _sequence, last_ms, _coordinator, start, _ in producers:
                    if start != inquiries.NONE_OPEN:
                        found[Writing((topic, partition), start, producer_id, epoch)] = last_ms
    return found


async def _owners(brokers: cluster.Cluster, producer_ids: list[int]) -> _Owners:
    """What coordinators have open."""
    found: _Owners = {}
    for broker in brokers.client.cluster.brokers():
        listed = await _listed(brokers, broker.nodeId, producer_ids)
        ids = [transactional_id for transactional_id, _, state, _ in listed.transactions if state in _OPEN_STATES]
        if not ids:
            continue
        described: Any = await brokers.send(broker.nodeId, inquiries.DescribeTransactions(ids))
        for _code, transactional_id, state, _timeout, _began, producer_id, epoch, topics, _ in described.transactions:
            if state in _OPEN_STATES:
                places = [(topic, partition) for topic, partitions, _ in topics for partition in partitions]
                found.update({(producer_id, place): (transactional_id, epoch) for place in places})
    return found


async def _listed(brokers: cluster.Cluster, node: int, producer_ids: list[int]) -> Any:
    """What a broker coordinates of these; one that has begun a moment ago is still reading what that is."""
    until = time.monotonic() + cluster.COORDINATOR_SECONDS
    while True:
        listed: Any = await brokers.send(node, inquiries.ListTransactions(producer_ids))
        if listed.code == outcomes.NONE:
            return listed
        if listed.code != outcomes.COORDINATOR_LOAD_IN_PROGRESS or time.monotonic() > until:
            raise outcomes.refusal(listed.code, "looking for open transactions")
        await asyncio.sleep(clients.RETRY_BACKOFF_MS / 1000)
