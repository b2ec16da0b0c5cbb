"""Transactions that hold readers of committed records back: where each begins, and whether anybody will ever end it.

A partition may have a transaction open of which no coordinator knows, as after data that was not copied at one instant.
Nobody ends such a one by himself (KIP-664 calls it hanging). What is to be done about it is not decided here.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

from actionbus.kafka import cluster, outcomes
from actionbus.kafka.batches import Partition

_TEXT: Final = CompactString("utf-8")
_TAGS: Final = ("tags", TaggedFields)
_NONE_OPEN: Final = -1
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


class _ProducersV0(Response):
    API_KEY = 61  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType] - as the library does it
    API_VERSION = 0  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType] - the same
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("name", _TEXT),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("code", Int16),
                        ("message", _TEXT),
                        (
                            "producers",
                            CompactArray(
                                ("producer_id", Int64),
                                ("producer_epoch", Int32),
                                ("last_sequence", Int32),
                                ("last_timestamp", Int64),
                                ("coordinator_epoch", Int32),
                                ("transaction_start", Int64),
                                _TAGS,
                            ),
                        ),
                        _TAGS,
                    ),
                ),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _DescribeProducersV0(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 61
    API_VERSION = 0
    RESPONSE_TYPE = _ProducersV0
    SCHEMA = Schema(("topics", CompactArray(("name", _TEXT), ("partitions", CompactArray(Int32)), _TAGS)), _TAGS)


class _DescribeProducers(Request[_DescribeProducersV0]):
    """Who writes to partitions, and since where in a transaction; for their leader."""

    API_KEY = 61

    def __init__(self, topics: Mapping[str, list[int]]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_DescribeProducersV0]) -> _DescribeProducersV0:
        """The request as the broker reads it."""
        return request_struct_class([(name, numbers, {}) for name, numbers in self._topics.items()], {})


class _ListedV0(Response):
    API_KEY = 66  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType] - as the library does it
    API_VERSION = 0  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType] - the same
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("code", Int16),
        ("unknown_states", CompactArray(_TEXT)),
        ("transactions", CompactArray(("transactional_id", _TEXT), ("producer_id", Int64), ("state", _TEXT), _TAGS)),
        _TAGS,
    )


class _ListTransactionsV0(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 66
    API_VERSION = 0
    RESPONSE_TYPE = _ListedV0
    SCHEMA = Schema(("states", CompactArray(_TEXT)), ("producer_ids", CompactArray(Int64)), _TAGS)


class _ListTransactions(Request[_ListTransactionsV0]):
    """The transactions of producers that a broker coordinates."""

    API_KEY = 66

    def __init__(self, producer_ids: list[int]) -> None:
        self._producer_ids = producer_ids

    def build(self, request_struct_class: type[_ListTransactionsV0]) -> _ListTransactionsV0:
        """The request as the broker reads it."""
        return request_struct_class([], self._producer_ids, {})


class _DescribedV0(Response):
    API_KEY = 65  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType] - as the library does it
    API_VERSION = 0  # pyright: ignore[reportIncompatibleMethodOverride, reportAssignmentType] - the same
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "transactions",
            CompactArray(
                ("code", Int16),
                ("transactional_id", _TEXT),
                ("state", _TEXT),
                ("timeout_ms", Int32),
                ("started_ms", Int64),
                ("producer_id", Int64),
                ("producer_epoch", Int16),
                ("topics", CompactArray(("name", _TEXT), ("partitions", CompactArray(Int32)), _TAGS)),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _DescribeTransactionsV0(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = 65
    API_VERSION = 0
    RESPONSE_TYPE = _DescribedV0
    SCHEMA = Schema(("transactional_ids", CompactArray(_TEXT)), _TAGS)


class _DescribeTransactions(Request[_DescribeTransactionsV0]):
    """What transactions have written to, as their coordinator knows."""

    API_KEY = 65

    def __init__(self, transactional_ids: list[str]) -> None:
        self._transactional_ids = transactional_ids

    def build(self, request_struct_class: type[_DescribeTransactionsV0]) -> _DescribeTransactionsV0:
        """The request as the broker reads it."""
        return request_struct_class(self._transactional_ids, {})


async def find(brokers: cluster.Cluster, places: Iterable[Partition]) -> list[OpenTransaction]:
    """The transactions that are open in these partitions; what no broker answers for now is left out.

    One that no coordinator knows of is looked for once more: it may have ended while they were asked. Where the user
    may not describe a transactional id, brokers keep silent about it. Raises Unavailable, or AccessRefused.
    """
    wanted = list(places)
    try:
        writing = await _writing(brokers, wanted)
        if not writing:
            return []
        owners = await _owners(brokers, sorted({each.producer_id for each in writing}))
        orphans = [each for each in writing if _owner(owners, each) is None]
        still = await _writing(brokers, [each.place for each in orphans]) if orphans else {}
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
        for each, last_ms in sorted(writing.items())
        if each not in orphans or each in still
    ]


class _Writing(NamedTuple):
    """A transaction as a partition knows it."""

    place: Partition
    offset: int
    producer_id: int
    epoch: int


_Owners = dict[tuple[int, Partition], tuple[str, int]]
"""Producer and partition -> the transactional id that a coordinator has open there, and its epoch."""


def _owner(owners: _Owners, found: _Writing) -> str | None:
    """Whose a transaction is; a coordinator that is behind its epoch knows an earlier one only."""
    transactional_id, epoch = owners.get((found.producer_id, found.place), (None, 0))
    return transactional_id if epoch >= found.epoch else None


async def _writing(brokers: cluster.Cluster, places: Iterable[Partition]) -> dict[_Writing, int]:
    """Each transaction that is open -> when its producer wrote last."""
    parts: defaultdict[int, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for topic, partition in places:
        parts[await brokers.find_leader(topic, partition)][topic].append(partition)
    found: dict[_Writing, int] = {}
    for node, topics in parts.items():
        reply: Any = await brokers.send(node, _DescribeProducers(topics))
        for topic, partitions, _ in reply.topics:
            for partition, code, _message, producers, _ in partitions:
                if code in outcomes.RETRIABLE_FETCH:
                    continue
                if code != outcomes.NONE:
                    raise outcomes.refusal(code, f"looking for open transactions of topic {topic}")
                for producer_id, epoch, _sequence, last_ms, _coordinator, start, _ in producers:
                    if start != _NONE_OPEN:
                        found[_Writing((topic, partition), start, producer_id, epoch)] = last_ms
    return found


async def _owners(brokers: cluster.Cluster, producer_ids: list[int]) -> _Owners:
    """What coordinators have open."""
    found: _Owners = {}
    for broker in brokers.client.cluster.brokers():
        listed: Any = await brokers.send(broker.nodeId, _ListTransactions(producer_ids))
        if listed.code != outcomes.NONE:
            raise outcomes.refusal(listed.code, "looking for open transactions")
        ids = [transactional_id for transactional_id, _, state, _ in listed.transactions if state in _OPEN_STATES]
        if not ids:
            continue
        described: Any = await brokers.send(broker.nodeId, _DescribeTransactions(ids))
        for _code, transactional_id, state, _timeout, _began, producer_id, epoch, topics, _ in described.transactions:
            if state in _OPEN_STATES:
                places = [(topic, partition) for topic, partitions, _ in topics for partition in partitions]
                found.update({(producer_id, place): (transactional_id, epoch) for place in places})
    return found
