"""Asking the coordinator of a consumer group, for as long as one has to be found. What is asked is elsewhere."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from aiokafka.client import ConnectionGroup

from actionbus.contracts.errors import ActionbusError, Unavailable
from actionbus.kafka import clients, cluster, outcomes

GROUP_SECONDS: Final = 30.0
_NOT_NOW: Final = frozenset(
    {outcomes.NOT_COORDINATOR, outcomes.COORDINATOR_NOT_AVAILABLE, outcomes.COORDINATOR_LOAD_IN_PROGRESS}
)


async def ask(brokers: cluster.Cluster, group: str, request: Any, codes: Callable[[Any], set[int]]) -> Any:
    """The coordinator's reply, asked for again while a coordinator is found or loads what it has to know.

    `codes` finds the error codes in a reply. The request must be one that may be repeated. Raises what the broker
    refused, AccessRefused among it, or Unavailable after GROUP_SECONDS.
    """
    what = f"group {group}"
    last: ActionbusError = Unavailable(what)
    try:
        async with asyncio.timeout(GROUP_SECONDS):
            while True:
                node = await brokers.coordinator("group", group)
                try:
                    reply = await brokers.send(node, request, lane=ConnectionGroup.COORDINATION)
                except cluster.Silence as error:
                    last = outcomes.failure(error, what)
                else:
                    refused = codes(reply) - {outcomes.NONE}
                    if not refused:
                        return reply
                    last = outcomes.refusal(min(refused), what)
                    if not refused <= _NOT_NOW:
                        raise last
                await asyncio.sleep(clients.RETRY_BACKOFF_MS / 1000)
    except TimeoutError as error:
        raise last from error
