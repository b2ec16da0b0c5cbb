"""What a broker's refusal or silence means, in sentences a person can act on. Who retries is decided elsewhere."""

import asyncio
import ssl
from typing import Final

from aiokafka import errors as kafka

from actionbus.contracts.errors import (
    AccessRefused,
    ActionbusError,
    BatchTooLarge,
    Fenced,
    Refused,
    TopicMissing,
    Unavailable,
)

NONE: Final = 0
OFFSET_OUT_OF_RANGE: Final = 1
UNKNOWN_TOPIC_OR_PARTITION: Final = 3
NOT_LEADER: Final = 6
MESSAGE_TOO_LARGE: Final = 10
COORDINATOR_LOAD_IN_PROGRESS: Final = 14
COORDINATOR_NOT_AVAILABLE: Final = 15
NOT_COORDINATOR: Final = 16
RECORD_LIST_TOO_LARGE: Final = 18
TOPIC_AUTHORIZATION_FAILED: Final = 29
GROUP_AUTHORIZATION_FAILED: Final = 30
CLUSTER_AUTHORIZATION_FAILED: Final = 31
TOPIC_ALREADY_EXISTS: Final = 36
DUPLICATE_SEQUENCE_NUMBER: Final = 46
INVALID_PRODUCER_EPOCH: Final = 47
CONCURRENT_TRANSACTIONS: Final = 51
TRANSACTIONAL_ID_AUTHORIZATION_FAILED: Final = 53
OPERATION_NOT_ATTEMPTED: Final = 55
INVALID_RECORD: Final = 87
PRODUCER_FENCED: Final = 90

_ACCESS: Final = frozenset(
    {
        TOPIC_AUTHORIZATION_FAILED,
        GROUP_AUTHORIZATION_FAILED,
        CLUSTER_AUTHORIZATION_FAILED,
        TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
# What a group says to one that is no longer its member, or that was not part of its last rebalance.
_GROUP_MOVED: Final = frozenset({22, 25, 27, 82})  # generation, member id, rebalance in progress, instance id fenced
_SINCE_AIOKAFKA: Final = {INVALID_RECORD: "INVALID_RECORD", PRODUCER_FENCED: "PRODUCER_FENCED"}

# What a rebalance of leaders, a restart or too few replicas answer: the same request may succeed in a moment.
RETRIABLE_PRODUCE: Final = frozenset({2, UNKNOWN_TOPIC_OR_PARTITION, 5, NOT_LEADER, 7, 19, 20, 56, 74, 75})
RETRIABLE_FETCH: Final = frozenset({2, UNKNOWN_TOPIC_OR_PARTITION, 5, NOT_LEADER, 7, 9, 56, 74, 75, 76, 78})


def name(code: int) -> str:
    """The broker's name of an error code."""
    return _SINCE_AIOKAFKA.get(code) or f"{kafka.for_code(code).__name__} ({code})"


def refusal(code: int, what: str) -> ActionbusError:  # noqa: PLR0911 - a table of cases
    """The error for a broker's refusal; `what` says what was asked for, as in "writing to topic x"."""
    if code in (INVALID_PRODUCER_EPOCH, PRODUCER_FENCED):
        return Fenced(f"{what}: another owner has taken over this transactional id")
    if code in _GROUP_MOVED:
        return Fenced(f"{what}: the group has given the partitions to another member")
    if code in _ACCESS:
        return AccessRefused(f"{what}: the broker does not allow it to this user; grant the access and start again")
    if code == UNKNOWN_TOPIC_OR_PARTITION:
        return TopicMissing(f"{what}: the topic or partition does not exist; `actionbus topics apply` makes ours")
    if code in (MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE):
        return BatchTooLarge(f"{what}: the broker's or topic's max.message.bytes is smaller than the batch")
    if code == INVALID_RECORD:
        return Refused(f"{what}: the broker refused a record, as it does with one without key on a compacted topic")
    if kafka.for_code(code).retriable:
        return Unavailable(f"{what}: the broker answered {name(code)}")
    return Refused(f"{what}: the broker answered {name(code)}")


def failure(error: Exception, what: str) -> ActionbusError:  # noqa: PLR0911 - a table of cases
    """The error for an exception of the client library or of the network."""
    if isinstance(error, ActionbusError):
        return error
    if isinstance(error, kafka.SaslAuthenticationFailed | kafka.AuthenticationFailedError):
        return AccessRefused(f"{what}: the broker refused the user name or password")
    if isinstance(error, kafka.UnsupportedSaslMechanismError | kafka.IllegalSaslStateError):
        return AccessRefused(f"{what}: the broker does not offer this SASL mechanism: {error}")
    if isinstance(error, ssl.SSLError):
        return AccessRefused(f"{what}: the TLS handshake failed: {error}")
    if isinstance(error, kafka.BrokerResponseError) and not isinstance(error, kafka.RequestTimedOutError):
        return refusal(error.errno, what)
    if isinstance(error, asyncio.TimeoutError | kafka.RequestTimedOutError | kafka.KafkaTimeoutError):
        return Unavailable(f"{what}: no answer in time")
    return Unavailable(f"{what}: {error}")
