"""Questions about transactions that the library does not know: who writes to a partition, and who coordinates what.

They came with KIP-664. What the answers mean is not decided here.
"""

from collections.abc import Mapping
from typing import Final

from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

NONE_OPEN: Final = -1
"""Where a producer's transaction begins in a partition, when it has none open there."""

_TEXT: Final = CompactString("utf-8")
_TAGS: Final = ("tags", TaggedFields)


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


class DescribeProducers(Request[_DescribeProducersV0]):
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


class ListTransactions(Request[_ListTransactionsV0]):
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


class DescribeTransactions(Request[_DescribeTransactionsV0]):
    """What transactions have written to, as their coordinator knows."""

    API_KEY = 65

    def __init__(self, transactional_ids: list[str]) -> None:
        self._transactional_ids = transactional_ids

    def build(self, request_struct_class: type[_DescribeTransactionsV0]) -> _DescribeTransactionsV0:
        """The request as the broker reads it."""
        return request_struct_class(self._transactional_ids, {})
