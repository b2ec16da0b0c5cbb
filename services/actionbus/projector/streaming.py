"""The Faust app: one agent on the events topic, at least once, raw bytes, and nothing else of Faust.

No tables, so no changelog topics; no leader topic; no web server, producer or sensors of its own; no folder on disk.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import faust
from faust.app.base import BootStrategy

from actionbus.projector.driver import URL

TAKE_SECONDS: Final = 0.1  # how long a batch waits for more records
BUNDLES: Final = 4  # that a batch is made of at most
BUFFER: Final = 2 * BUNDLES  # on their way to the agent: decoded, so each takes some megabytes
COMMIT_SECONDS: Final = 1.0  # between commits of the group's offsets, which only say how far it is

Take = Callable[[Sequence[Any]], Awaitable[None]]
"""Given bundles in their order; returns once they are written, and never raises."""


class _Boot(BootStrategy):
    """What the app starts: what reads, and nothing that writes or serves."""

    enable_kafka_producer = False
    enable_web = False
    enable_sensors = False


class _App(faust.App):
    BootStrategy = _Boot

    def _create_directories(self) -> None:
        """None is needed."""


def app(group: str, topic: str, take: Take, transport: Callable[[Any], Any]) -> Any:
    """An app that hands batches over. ``transport``: makes what the app reads through."""
    made: Any = _App(
        group,
        broker=URL,
        store="memory://",
        cache="memory://",
        autodiscover=False,
        origin="actionbus",
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        processing_guarantee="at_least_once",
        stream_wait_empty=False,
        stream_buffer_maxsize=BUFFER,
        broker_commit_interval=COMMIT_SECONDS,
        stream_processing_timeout=3_600.0,  # a database that is away is waited for
    )
    made.transport = transport(made)
    source = made.topic(topic, key_serializer="raw", value_serializer="raw")

    async def project(stream: Any) -> None:
        # `take` counts a batch as done also when its body raised, so the body never does.
        async for batch in stream.take(BUNDLES, within=TAKE_SECONDS):
            await take(batch)

    made.agent(source, name="project")(project)
    return made
