"""How a producer gets the identity by which brokers tell its duplicates, and a successor's writes, apart."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.client import ConnectionGroup
from aiokafka.protocol.transaction import InitProducerIdRequest

from actionbus.kafka import clients, cluster, outcomes

BACKOFF_SECONDS: Final = 0.02
TAKE_SECONDS: Final = 60.0  # the broker first ends what the predecessor left open


@dataclass(frozen=True, slots=True, kw_only=True)
class ProducerIdentity:
    """A producer id with its epoch."""

    producer_id: int
    epoch: int
    transactional: bool


NOBODY: Final = ProducerIdentity(producer_id=-1, epoch=-1, transactional=False)


Look = Callable[[], Awaitable[None]]
"""To be done right before an id is asked for, each time."""


async def take(
    brokers: cluster.Cluster,
    transactional_id: str | None,
    *,
    timeout_ms: int = clients.TRANSACTION_TIMEOUT_MS,
    look: Look | None = None,
) -> ProducerIdentity:
    """A new identity, or a new epoch of a transactional id, which fences its earlier holders.

    Repeating the request is safe: at worst an epoch is skipped. Raises AccessRefused, Refused or Unavailable.
    """
    what = "a producer id" if transactional_id is None else f"transactional id {transactional_id}"
    request = InitProducerIdRequest(transactional_id, timeout_ms)  # pyright: ignore[reportArgumentType] - None is plain
    last = outcomes.refusal(outcomes.COORDINATOR_NOT_AVAILABLE, what)
    try:
        async with asyncio.timeout(TAKE_SECONDS):
            while True:
                try:
                    if look is not None:
                        await look()
                    reply = await _ask(brokers, request, transactional_id)
                except cluster.Silence as error:
                    last = outcomes.failure(error, what)
                    await brokers.refresh()
                else:
                    if reply.error_code == outcomes.NONE:
                        return ProducerIdentity(
                            producer_id=reply.producer_id,
                            epoch=reply.producer_epoch,
                            transactional=transactional_id is not None,
                        )
                    last = outcomes.refusal(reply.error_code, what)
                    if reply.error_code not in _NOT_NOW:
                        raise last
                await asyncio.sleep(BACKOFF_SECONDS)
    except TimeoutError as error:
        raise last from error


async def _ask(brokers: cluster.Cluster, request: InitProducerIdRequest, transactional_id: str | None) -> Any:
    if transactional_id is None:
        return await brokers.send(brokers.any_node(), request)
    node = await brokers.coordinator("transaction", transactional_id)
    return await brokers.send(node, request, lane=ConnectionGroup.COORDINATION)


_NOT_NOW: Final = frozenset(
    {
        outcomes.NOT_COORDINATOR,
        outcomes.COORDINATOR_NOT_AVAILABLE,
        outcomes.COORDINATOR_LOAD_IN_PROGRESS,
        outcomes.CONCURRENT_TRANSACTIONS,
    }
)
