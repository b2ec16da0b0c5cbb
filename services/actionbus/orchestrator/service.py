"""The orchestrator as a service: joins the group, runs the shards it is given, leaves in good order."""

import asyncio
import gc
import os
import socket
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog

from actionbus.contracts.errors import ActionbusError, SettingsRefused
from actionbus.contracts.limits import Limits
from actionbus.contracts.topics import Topics
from actionbus.kafka.admin import UNCLEAN_ELECTION, Admin, unclean
from actionbus.kafka.membership import Membership
from actionbus.orchestrator.charter import Charter
from actionbus.orchestrator.clocks import SteadyClock
from actionbus.orchestrator.definitions import Definitions
from actionbus.orchestrator.destinations import Destinations
from actionbus.orchestrator.kafka_log import KafkaLog
from actionbus.orchestrator.ownership import Ownership
from actionbus.orchestrator.shelf import open_shelf
from actionbus.orchestrator.watch import Watch
from actionbus.process import tracing
from actionbus.process.service import serving
from actionbus.process.settings import Settings

AGAIN_SECONDS: Final = 5.0  # before definitions are followed again after an error
TOMBSTONES: Final = "delete.retention.ms"
LARGEST_BATCH: Final = "max.message.bytes"
COLLECTOR: Final = (50_000, 20, 100)  # new objects before a pass, young passes before a wider one, and a full one
HOUR_MS: Final = 3_600_000
TOMBSTONES_MS: Final = 24 * HOUR_MS  # as Kafka keeps them where nothing is set

_log = structlog.get_logger(__name__)


class Orchestrator:
    """One orchestrator process, or the orchestrator's part of one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topics = Topics(settings.prefix)
        self._ownership: Ownership | None = None

    def not_ready(self) -> list[str]:
        """Why it cannot do its work now; nothing when it does. May be called from any thread."""
        return ["it is starting"] if self._ownership is None else self._ownership.not_ready()

    async def serve(self, stop: asyncio.Event) -> None:
        """Own shards until ``stop`` is set, then finish what was begun.

        Raises Unavailable, AccessRefused, TopicMissing or SettingsRefused when it cannot begin, and the same when the
        group refuses it later.
        """
        settings, topics = self._settings, self._topics
        connection = settings.kafka.connection("actionbus-orchestrator")
        keys = settings.nonce_keys()
        async with Admin(connection) as admin:
            partitions, tombstones_ms = await _shards(admin, topics, settings.limits)
        async with KafkaLog(connection, topics, settings.limits) as log:
            clock, codec = SteadyClock(), settings.registry.codec()
            definitions = Definitions(
                log,
                topics.definitions,
                codec,
                limits=settings.limits,
                run_retention_ms=round(settings.orchestrator.run_retention_hours * HOUR_MS),
            )
            destinations = Destinations(log.partitions, clock)

            def charter(shard: int) -> Charter:
                return Charter(
                    shard=shard,
                    partitions=partitions,
                    owner=f"{socket.gethostname()}/{os.getpid()}",
                    topics=topics,
                    log=log,
                    clock=clock,
                    codec=codec,
                    definitions=definitions,
                    destinations=destinations,
                    nonce_key=keys.current,
                    previous_nonce_key=keys.previous,
                    limits=settings.limits,
                    open_shelf=lambda: open_shelf(settings.orchestrator.state_dir / settings.prefix / f"shard-{shard}"),
                    tombstones_ms=tombstones_ms,
                    publish_within_ms=settings.orchestrator.session_timeout_ms,
                    spans=tracing.active(),
                )

            self._ownership = Ownership(charter)
            membership = Membership(
                connection,
                topics.orchestrator_group,
                topics.requests,
                instance_id=settings.orchestrator.group_instance_id,
                session_timeout_ms=settings.orchestrator.session_timeout_ms,
            )
            watch = Watch(
                log,
                topics,
                self._ownership,
                definitions,
                stuck_after_ms=round(settings.orchestrator.stuck_after_seconds * 1_000),
            )
            async with membership, _beside(_follow(definitions), watch.run()):
                await self._own(membership, self._ownership, stop)
            await log.flush()

    async def _own(self, membership: Membership, ownership: Ownership, stop: asyncio.Event) -> None:
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                hearing = asyncio.create_task(membership.events.get())
                await asyncio.wait({hearing, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if hearing.done():
                    ownership.apply(hearing.result())
                else:
                    hearing.cancel()
            await ownership.release_all()
        finally:
            stopping.cancel()
            await ownership.drop_all()


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Be an orchestrator until ``stop`` is set, inside a process that has probes and signals already."""
    await Orchestrator(settings).serve(stop)


async def run(settings: Settings) -> None:
    """Be an orchestrator process, with probes and metrics, until a signal asks it to end."""
    _calm_collector()
    orchestrator = Orchestrator(settings)
    async with serving("orchestrator", settings, orchestrator.not_ready) as shutdown:
        await orchestrator.serve(shutdown.requested)


def _calm_collector() -> None:
    """Look for cyclic garbage less often: records hold no cycles, and every step makes dozens of small objects.

    With Python's own thresholds the collector took 30 % of the time of a fold, and its full passes grow with the number
    of runs in memory.
    """
    gc.collect()
    gc.freeze()  # what was imported stays
    gc.set_threshold(*COLLECTOR)


async def _shards(admin: Admin, topics: Topics, limits: Limits) -> tuple[int, int]:
    """The number of shards, on which all four topics of a shard agree, and for how long tombstones of the state stay.

    Raises SettingsRefused for an unfit cluster.
    """
    facts = await admin.describe_cluster()
    if facts.unclean_election:
        raise SettingsRefused(
            "the cluster may elect leaders that lack acknowledged records: set unclean.leader.election.enable=false"
        )
    found = await admin.topics(f"{topics.prefix}.workflow.")
    counts: dict[str, int] = {}
    for name in (topics.requests, topics.results, topics.state, topics.events):
        if name not in found:
            raise SettingsRefused(f"topic {name} is missing: run `actionbus topics apply`")
        counts[name] = found[name].partitions
        if unclean({name: found[name]}):
            raise SettingsRefused(
                f"topic {name} may get a leader that lacks acknowledged records: set its {UNCLEAN_ELECTION}=false"
            )
        largest = found[name].settings.get(LARGEST_BATCH)
        if largest is not None and int(largest) < limits.batch_bytes:
            raise SettingsRefused(
                f"topic {name} takes batches of {largest} bytes, {limits.batch_bytes} are needed: "
                f"set its {LARGEST_BATCH}, or lower ACTIONBUS_LIMITS_BATCH_BYTES"
            )
    if len(set(counts.values())) != 1:
        said = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise SettingsRefused(f"the topics of the shards must have the same number of partitions: {said}")
    return counts[topics.requests], int(found[topics.state].settings.get(TOMBSTONES, TOMBSTONES_MS))


@asynccontextmanager
async def _beside(*work: Coroutine[Any, Any, None]) -> AsyncGenerator[None]:
    """Do this as well, and end it with the block."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _follow(definitions: Definitions) -> None:
    """Learn of new definitions as they are deployed; whoever misses one reads again by itself."""
    while True:
        try:
            await definitions.follow()
        except ActionbusError as error:
            _log.warning("following definitions is interrupted", error=str(error))
            await asyncio.sleep(AGAIN_SECONDS)
