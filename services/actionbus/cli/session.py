"""What every command begins with: settings from the environment and the options before the command, logs, a loop."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import uvloop

from actionbus.client import Client
from actionbus.kafka.codec import Codec
from actionbus.kafka.connection import Connection
from actionbus.process import logs, variables
from actionbus.process.settings import LogLevel, LogSettings, Settings

CLIENT_ID: Final = "actionbus-cli"
T = TypeVar("T")


@dataclass(slots=True)
class Session:
    """The options that stand before the command; the command line has one of them."""

    debug: bool = False
    kafka: str | None = None
    prefix: str | None = None

    def settings(self, **more: Any) -> Settings:
        """All settings, with these options and ``more`` over them; raises SettingsRefused."""
        values: dict[str, Any] = dict(more)
        if self.kafka is not None:
            values["kafka"] = {"bootstrap_servers": self.kafka, **values.get("kafka", {})}
        if self.prefix is not None:
            values["prefix"] = self.prefix
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


def client(found: Settings) -> Client:
    """A client of the installation."""
    return Client(connection(found), found.prefix, codec=codec(found), limits=found.limits)


def run(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a command's work to its end; its errors come out as they are."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work())
