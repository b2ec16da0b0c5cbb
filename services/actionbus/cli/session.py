"""What every command begins with: settings from the environment and the options before the command, logs, a loop."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import uvloop

from actionbus.client import Client, HttpClient, Runs
from actionbus.client.letters import Letters
from actionbus.contracts.errors import Refused
from actionbus.kafka.codec import Codec
from actionbus.kafka.connection import Connection
from actionbus.process import logs, variables
from actionbus.process.groups import LogLevel, LogSettings
from actionbus.process.settings import Settings

CLIENT_ID: Final = "actionbus-cli"
T = TypeVar("T")


@dataclass(slots=True)
class Session:
    """The options that stand before the command; the command line has one of them."""

    debug: bool = False
    kafka: str | None = None
    prefix: str | None = None
    url: str | None = None

    def settings(self, **more: Any) -> Settings:
        """All settings, with these options and ``more`` over them; raises SettingsRefused."""
        values: dict[str, Any] = dict(more)
        if self.kafka is not None:
            values["kafka"] = {"bootstrap_servers": self.kafka, **values.get("kafka", {})}
        if self.prefix is not None:
            values["prefix"] = self.prefix
        if self.url is not None:
            values["url"] = self.url
        return variables.load(**values)


OPTIONS: Final = Session()


def settings() -> Settings:
    """The settings of a command that is no service: it logs nothing unless it is debugged."""
    found = OPTIONS.settings()
    logs.configure(LogSettings(level=LogLevel.DEBUG if OPTIONS.debug else LogLevel.ERROR), "cli")
    if not OPTIONS.debug:
        # What the library says about a broker that is away, the command says itself, in one sentence.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    return found


def connection(found: Settings) -> Connection:
    """The connection of a command."""
    return found.kafka.connection(CLIENT_ID)


def codec(found: Settings) -> Codec:
    """The codec of the installation."""
    return found.registry.codec()


def gateway(found: Settings) -> HttpClient | None:
    """A client of the gateway that commands ask; None when they ask Kafka."""
    return None if found.url is None else HttpClient(found.url, limits=found.limits)


def needs_kafka(found: Settings, what: str) -> None:
    """Raise Refused where a command that reads topics was given a gateway instead."""
    if found.url is not None:
        raise Refused(f"{what} reads topics, which no gateway shows: leave out --url and ACTIONBUS_URL, give --kafka")


def client(found: Settings) -> Runs:
    """A client of the installation, over HTTP where a gateway was named, else over Kafka."""
    over_http = gateway(found)
    if over_http is not None:
        return over_http
    return Client(connection(found), found.prefix, codec=codec(found), limits=found.limits)


def letters(found: Settings) -> Letters:
    """The dead letters of the installation, over Kafka."""
    return Letters(connection(found), found.prefix, codec=codec(found), limits=found.limits)


def run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a command's work to its end; its errors come out as they are."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work())
