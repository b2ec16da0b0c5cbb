"""What an orchestrator tells of its shards beside its work: how far behind they are, what waits, and what stands still.

Of the brokers it asks two questions for all its partitions, and reads one record of each that lags, so a look costs the
same whatever waits. What waits for workers is known from the runs.
"""

import asyncio
import time
from collections import Counter, defaultdict
from typing import Any, Final

import structlog

from actionbus.contracts.errors import ActionbusError
from actionbus.contracts.topics import Topics
from actionbus.orchestrator.definitions import Definitions
from actionbus.orchestrator.kafka_log import KafkaLog
from actionbus.orchestrator.log import Place
from actionbus.orchestrator.ownership import Ownership
from actionbus.orchestrator.progress import Progress
from actionbus.process import metrics

WATCH_SECONDS: Final = 5.0
# What a look sets by topic and partition, and takes away once the partition is somebody else's.
BY_PLACE: Final = (metrics.CONSUMER_LAG, metrics.CONSUMER_LAG_AGE, metrics.LSO_LAG)

_log = structlog.get_logger(__name__)


class Watch:
    """Sets the gauges that only a look at the brokers, or at all of a shard, can give."""

    def __init__(
        self, log: KafkaLog, topics: Topics, ownership: Ownership, definitions: Definitions, *, stuck_after_ms: int
    ) -> None:
        self._log = log
        self._topics = topics
        self._ownership = ownership
        self._definitions = definitions
        self._stuck_after_ms = stuck_after_ms
        self._told: defaultdict[Any, set[Place]] = defaultdict(set)
        self._held_back: dict[Place, tuple[int, float]] = {}  # a last stable offset, and since when it stands there

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
            self._forget({})
            self._count([])
            metrics.TIMERS_PENDING.set(0)

    async def look(self) -> None:
        """Set the gauges as things are now."""
        self._ownership.count()
        served = {shard.number: shard.progress for shard in self._ownership.shards}
        progress = {number: each for number, each in served.items() if each is not None}
        metrics.TIMERS_PENDING.set(sum(each.timers for each in progress.values()))
        self._count(list(progress.values()))
        topics = self._topics
        places = [
            (topic, number)
            for number in served  # also who cannot take its shard over is held back
            for topic in (topics.requests, topics.results, topics.state, topics.events)
        ]
        stable = await self._log.ends(places, committed=True)
        written = await self._log.ends(places, committed=False)
        found: dict[Any, dict[Place, float]] = {gauge: {} for gauge in BY_PLACE}
        found[metrics.LSO_LAG] = self._holding_back(stable, written)
        for number, each in progress.items():
            for place, offset in (((topics.requests, number), each.requests), ((topics.results, number), each.results)):
                if place in stable:
                    lag, age = await self._behind(place, offset, stable[place], each.now)
                    found[metrics.CONSUMER_LAG][place] = lag
                    found[metrics.CONSUMER_LAG_AGE][place] = age
        for gauge, values in found.items():
            for (topic, partition), value in values.items():
                gauge.labels(topic=topic, partition=str(partition)).set(value)
        self._forget(found)

    def _count(self, shards: list[Progress]) -> None:
        """What waits for workers and what is stuck, summed over the shards; 0 for all that is deployed and has none."""
        commands = Counter(dict.fromkeys(self._definitions.actions, 0))
        stuck = Counter(dict.fromkeys(self._definitions.workflows, 0))
        ages = dict.fromkeys(self._definitions.actions, 0)
        for shard in shards:
            found = shard.backlog.look(shard.now, self._stuck_after_ms)
            commands.update(found.commands)
            stuck.update(found.stuck)
            for action, age in found.ages_ms.items():
                ages[action] = max(age, ages.get(action, 0))
        for action, count in commands.items():
            metrics.ACTION_BACKLOG.labels(action=action).set(count)
            metrics.ACTION_BACKLOG_AGE.labels(action=action).set(ages.get(action, 0) / 1000)
        for workflow, count in stuck.items():
            metrics.RUNS_STUCK.labels(workflow=workflow).set(count)

    async def _behind(self, place: Place, offset: int, end: int, now: int) -> tuple[int, float]:
        """How many records wait from an offset on, and the age of the first in seconds; markers alone are nothing."""
        if offset >= end:
            return 0, 0.0
        written_at = await self._log.written_at(*place, offset, end)
        return (0, 0.0) if written_at is None else (end - offset, max(0, now - written_at) / 1000)

    def _holding_back(self, stable: dict[Place, int], written: dict[Place, int]) -> dict[Place, float]:
        """For how many seconds each last stable offset has stood where it is, below the end of what is written."""
        now = time.monotonic()
        before, self._held_back = self._held_back, {}
        for place, offset in stable.items():
            if offset < written.get(place, offset):
                known = before.get(place)
                self._held_back[place] = known if known is not None and known[0] == offset else (offset, now)
        return {place: now - self._held_back[place][1] if place in self._held_back else 0.0 for place in stable}

    def _forget(self, still: dict[Any, dict[Place, float]]) -> None:
        for gauge in BY_PLACE:
            kept = set(still.get(gauge, ()))
            for topic, partition in self._told[gauge] - kept:
                gauge.remove(topic, str(partition))
            self._told[gauge] = kept
