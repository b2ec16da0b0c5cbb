"""What an orchestrator tells of its shards beside its work: how far behind they are, and how much waits for a time."""

import asyncio
from typing import Final

import structlog

from actionbus.contracts.errors import ActionbusError
from actionbus.contracts.topics import Topics
from actionbus.orchestrator.kafka_log import KafkaLog
from actionbus.orchestrator.ownership import Ownership
from actionbus.process import metrics

WATCH_SECONDS: Final = 5.0

_log = structlog.get_logger(__name__)


class Watch:
    """Sets the gauges that only a look at the brokers can give."""

    def __init__(self, log: KafkaLog, topics: Topics, ownership: Ownership) -> None:
        self._log = log
        self._topics = topics
        self._ownership = ownership
        self._told: set[tuple[str, int]] = set()

    async def run(self) -> None:
        """Look again and again, until cancelled; then the gauges are gone, for others own the shards."""
        try:
            while True:
                await asyncio.sleep(WATCH_SECONDS)
                try:
                    await self.look()
                except ActionbusError as error:
                    _log.warning("the lag of the shards is not known", error=str(error))
        finally:
            self._forget(set())
            metrics.TIMERS_PENDING.set(0)

    async def look(self) -> None:
        """Set the gauges as things are now."""
        timers = 0
        found: set[tuple[str, int]] = set()
        for shard in self._ownership.shards:
            progress = shard.progress
            if progress is None:
                continue
            timers += progress.timers
            for topic, offset in ((self._topics.requests, progress.requests), (self._topics.results, progress.results)):
                lag = max(0, await self._log.end(topic, shard.number) - offset)
                metrics.CONSUMER_LAG.labels(topic=topic, partition=str(shard.number)).set(lag)
                found.add((topic, shard.number))
        metrics.TIMERS_PENDING.set(timers)
        self._forget(found)

    def _forget(self, still: set[tuple[str, int]]) -> None:
        for topic, partition in self._told - still:
            metrics.CONSUMER_LAG.remove(topic, str(partition))
        self._told = set(still)
