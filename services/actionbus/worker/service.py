"""The worker as a service: every action of a registry with a lane of its own, over one producer and one control reader.

What surrounds a service process (logs, probes, signals) is in the process room; it is given ``Worker.not_ready``.
"""

import asyncio
import os
import socket
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr
from sqlalchemy import make_url

from actionbus.contracts.definitions import Effect
from actionbus.contracts.errors import SettingsRefused
from actionbus.contracts.topics import Topics
from actionbus.kafka.cluster import Cluster
from actionbus.kafka.producer import IdempotentProducer
from actionbus.kafka.reader import PartitionReader
from actionbus.process import tracing
from actionbus.process.settings import Settings
from actionbus.sdk.action import Action
from actionbus.sdk.registry import Registry
from actionbus.worker import control, sweeping
from actionbus.worker.answering import Answering
from actionbus.worker.attempts import Attempts
from actionbus.worker.execution import Execution
from actionbus.worker.failures import Failures
from actionbus.worker.holdings import Holdings
from actionbus.worker.intake import Intake
from actionbus.worker.lane import Lane
from actionbus.worker.probation import Suspects
from actionbus.worker.processes import Processes
from actionbus.worker.relay import Relay
from actionbus.worker.replies import Replies
from actionbus.worker.stores import DEFAULT_STORE, Stores
from actionbus.worker.threads import Threads

LEAVING_SHARE: Final = 0.2  # of the grace period, kept for leaving once the work is finished or given up
JOURNALED: Final = frozenset({Effect.HTTP, Effect.AT_MOST_ONCE})
REMEMBERED_BYTES: Final = 67_108_864  # of outputs and emits, beside the limit on their number


async def serve(settings: Settings, registry: Registry, stop: asyncio.Event) -> None:
    """Carry out the commands of all actions of a registry until ``stop`` is set, then finish what runs and leave.

    Raises SettingsRefused for a store without URL, TopicMissing, AccessRefused, PositionLost and Unavailable at the
    start: what a person has to see.
    """
    await Worker(settings, registry).serve(stop)


class Worker:
    """One worker process. ``store_folder`` gives stores without a URL a SQLite file of their name in that folder."""

    def __init__(self, settings: Settings, registry: Registry, *, store_folder: Path | None = None) -> None:
        self._settings = settings
        self._actions = tuple(registry.actions.values())
        self._modules = registry.modules
        self._connection = settings.kafka.connection("actionbus-worker")
        self._topics = Topics(settings.prefix)
        self._codec = settings.registry.codec()
        alone = [each.id for each in self._actions if each.cpu_bound and not registry.modules]
        if alone:
            raise SettingsRefused(
                f"action {alone[0]} is cpu_bound, and its processes have to import it: give the worker a module"
            )
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._stores = Stores(
            _store_urls(settings, self._actions, store_folder),
            longest_attempt_ms=max((each.start_to_close_ms for each in self._actions), default=60_000),
            journals={each.store or DEFAULT_STORE for each in self._actions if each.effect in JOURNALED},
        )
        self._attempts = Attempts(remembered=settings.limits.remembered_results, remembered_bytes=REMEMBERED_BYTES)
        self._suspects = Suspects(self._attempts)
        self._lanes: list[Lane] = []
        self._relays: dict[str, Relay] = {}
        self._replies: Replies | None = None

    def not_ready(self) -> list[str]:
        """Why this worker does not carry out commands now; nothing when it does."""
        if self._replies is None:
            return ["starting"]
        trouble = [] if self._replies.trouble is None else [self._replies.trouble]
        return [*trouble, *(reason for lane in self._lanes for reason in lane.not_ready())]

    async def serve(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; raises as the function ``serve`` does."""
        limits = self._settings.limits
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._stores)
            producer = IdempotentProducer(self._connection, limits=limits)
            stack.push_async_callback(producer.close)  # the lanes have waited for what they may wait for
            await producer.start()
            reader = await stack.enter_async_context(PartitionReader(self._connection, isolation="read_uncommitted"))
            brokers = await stack.enter_async_context(Cluster(self._connection))
            replies = Replies(producer, limits)
            self._relays = self._relaying(replies)
            self._lanes = [await self._lane(action, replies, brokers) for action in self._actions]
            self._replies = replies
            days = self._settings.worker.rows_retention_days
            sweeper = None if days is None else sweeping.keep_sweeping(self._stores, days=days)
            position = await reader.end(self._topics.control, 0)
            following = control.follow(reader, self._topics, self._codec, self._attempts, position)
            relays = [each.serve() for each in self._relays.values()]
            await self._together(stop, following, *relays, *(() if sweeper is None else (sweeper,)))

    async def _together(self, stop: asyncio.Event, *beside: Coroutine[Any, Any, None]) -> None:
        """Run all lanes, and what goes on beside them, until the lanes are done; the first failure ends them all."""
        grace = self._settings.grace_seconds * (1 - LEAVING_SHARE)
        try:
            async with asyncio.TaskGroup() as group:
                helpers = [group.create_task(each) for each in beside]
                lanes = [group.create_task(lane.serve(stop, grace_seconds=grace)) for lane in self._lanes]
                await asyncio.wait(lanes or [group.create_task(_until(stop))])
                for each in helpers:
                    each.cancel()
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    def _relaying(self, replies: Replies) -> dict[str, Relay]:
        """A relay for each store that transactional actions write to and that has an outbox."""
        written = {each.store for each in self._actions if each.effect is Effect.TRANSACTIONAL}
        return {
            store.name: Relay(store, replies, self._codec, worker=self._name)
            for store in self._stores
            if store.name in written and store.outbox
        }

    async def _lane(self, action: Action[..., Any], replies: Replies, brokers: Cluster) -> Lane:
        settings, topics = self._settings, self._topics
        group = topics.worker_group(action.id)
        dead_letters = topics.action_dead_letters(action.id)
        relay = self._relays.get(action.store or "") if action.effect is Effect.TRANSACTIONAL else None
        concurrency = min(action.max_concurrency, settings.worker.concurrency)
        execution = Execution(
            action,
            limits=settings.limits,
            failures=Failures(settings.limits, _secrets(settings)),
            threads=Threads(concurrency, action.id),
            store=None if action.effect is Effect.IDEMPOTENT else self._stores[action.store or DEFAULT_STORE],
            processes=Processes(action.id, self._modules) if action.cpu_bound else None,
        )
        return Lane(
            execution,
            holdings=Holdings(
                self._connection,
                group=group,
                topic=topics.commands(action.id),
                limits=settings.limits,
                session_timeout_ms=settings.worker.session_timeout_ms,
                instance_id=settings.worker.group_instance_id,
                accept_gap=settings.worker.accept_gap,
            ),
            intake=Intake(
                action.id,
                self._codec,
                reply_topic=topics.results,
                reply_partitions=await brokers.partitions(topics.results),
            ),
            attempts=self._attempts,
            answering=Answering(
                action.id,
                replies=replies,
                attempts=self._attempts,
                codec=self._codec,
                limits=settings.limits,
                worker=self._name,
                group=group,
                dead_letters=dead_letters,
                dead_letter_partitions=await brokers.partitions(dead_letters),
                published=None if relay is None else relay.published,
            ),
            suspects=self._suspects,
            concurrency=concurrency,
            crashes=settings.limits.command_crashes,
            spans=tracing.active(),
        )


async def _until(stop: asyncio.Event) -> None:
    await stop.wait()


def _store_urls(settings: Settings, actions: Iterable[Action[..., Any]], folder: Path | None) -> dict[str, str]:
    urls = {name: url.get_secret_value() for name, url in settings.store.items()}
    for action in actions:
        name = action.store or DEFAULT_STORE
        if action.effect is Effect.IDEMPOTENT or name in urls:
            continue
        if folder is None:
            variable = f"ACTIONBUS_STORE_{name.upper().replace('-', '_')}_URL"
            writes = "keeps its journal in" if action.effect in JOURNALED else "writes to"
            raise SettingsRefused(f"action {action.id} {writes} store {name}, which has no database: set {variable}")
        urls[name] = f"sqlite:///{folder / name}.db"
    return urls


def _secrets(settings: Settings) -> Iterator[str]:
    """Every secret value of the settings, and the passwords inside the URLs of stores."""
    for url in settings.store.values():
        password = make_url(url.get_secret_value()).password
        if password is not None:
            yield str(password)
    yield from _revealed(settings.model_dump())


def _revealed(value: Any) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, dict):
        for each in value.values():
            yield from _revealed(each)
