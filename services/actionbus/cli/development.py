"""The installation that `actionbus dev` runs: broker, orchestrator, worker, views and page, all in one process."""

import asyncio
import importlib.util
import socket
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final

from actionbus.cli import output
from actionbus.cli.readers import Readers
from actionbus.cli.session import OPTIONS
from actionbus.cli.workshop import Workshop, described
from actionbus.kafka.embedded import EmbeddedBroker
from actionbus.orchestrator.service import Orchestrator
from actionbus.process.groups import LogLevel
from actionbus.process.service import serving
from actionbus.process.settings import DEVELOPMENT_NONCE_KEY, Settings

USUAL_PORT: Final = 9092  # where every other command looks for Kafka
HOST: Final = "127.0.0.1"


async def run(modules: list[str], kafka: str | None, folder: Path, port: int | None, *, reload: bool) -> None:
    """Run an installation until a signal asks it to end. ``kafka`` None: with a broker of its own, at ``port``."""
    async with AsyncExitStack() as stack:
        address = kafka or await stack.enter_async_context(_broker(folder, port))
        settings = _settings(address, folder, own_broker=kafka is None)
        orchestrator = Orchestrator(settings)
        workshop = Workshop(settings, modules, folder, own_broker=kafka is None)

        def not_ready() -> list[str]:
            return [*orchestrator.not_ready(), *workshop.not_ready()]

        shutdown = await stack.enter_async_context(serving("dev", settings, not_ready))
        await workshop.open()
        stack.push_async_callback(workshop.close)
        stop = shutdown.requested
        # The orchestrator stops after the worker: what the worker still answers is taken in.
        ended = asyncio.Event()
        readers = Readers(settings)
        reading = asyncio.create_task(readers.serve(ended))
        await readers.ready()
        _greet(settings, folder, workshop, readers, own_broker=kafka is None)
        orchestrating = asyncio.create_task(orchestrator.serve(ended))
        following = asyncio.create_task(_follow(modules, workshop, stop) if reload else stop.wait())
        await asyncio.wait({orchestrating, following}, return_when=asyncio.FIRST_COMPLETED)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await workshop.close()
        ended.set()
        await asyncio.gather(orchestrating, reading)


async def _follow(modules: list[str], workshop: Workshop, stop: asyncio.Event) -> None:
    from watchfiles import PythonFilter, awatch  # of the extra `dev`, which only this command needs

    folders = {str(_folder(each)) for each in modules}
    async for _ in awatch(*folders, watch_filter=PythonFilter(), stop_event=stop, raise_interrupt=False):
        await workshop.reopen()


def _folder(module: str) -> Path:
    if module.endswith(".py") or "/" in module:
        return Path(module).resolve().parent
    spec = importlib.util.find_spec(module)
    origin = spec.origin if spec is not None else None
    return Path(origin).parent if origin is not None else Path.cwd()


@asynccontextmanager
async def _broker(folder: Path, port: int | None) -> AsyncGenerator[str]:
    chosen = port if port is not None else USUAL_PORT if _free(USUAL_PORT) else None
    async with EmbeddedBroker(folder / "kafka", port=chosen) as broker:
        yield broker.bootstrap_servers


def _settings(address: str, folder: Path, *, own_broker: bool) -> Settings:
    """The settings of the environment with what this command decides; it logs only what a developer has to see."""
    values: dict[str, Any] = {"kafka": {"bootstrap_servers": address}}
    values["orchestrator"] = {"state_dir": folder / "orchestrator"}
    asked = OPTIONS.settings(**values)
    if "url" not in asked.visibility.model_fields_set:
        values["visibility"] = {"url": f"sqlite:///{folder / 'visibility.db'}"}
    if "level" not in asked.log.model_fields_set:
        values["log"] = {"level": LogLevel.DEBUG if OPTIONS.debug else LogLevel.WARNING}
    if own_broker and asked.nonce.current is None:
        values["nonce"] = {"current": DEVELOPMENT_NONCE_KEY.decode()}
    return OPTIONS.settings(**values)


def _free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _greet(settings: Settings, folder: Path, workshop: Workshop, readers: Readers, *, own_broker: bool) -> None:
    address = ",".join(settings.kafka.bootstrap_servers)
    option = "" if address == f"{HOST}:{USUAL_PORT}" else f"--kafka {address} "
    where = f" (started here; data in {folder / 'kafka'}, for development only)" if own_broker else ""
    name = next((name for name, _ in workshop.found.workflows), "WORKFLOW")
    for line in (
        f"Kafka    {address}{where}",
        f"Probes   http://{settings.http.host}:{settings.http.port}/ready and /metrics",
        *([] if readers.address is None else [f"Page     {readers.address}/ and its API at {readers.address}/v1"]),
        f"Serving  {described(workshop.found)}",
        f"Try      actionbus {option}runs start {name} 'INPUT AS JSON' --result",
        "Ctrl-C ends it; what is under way goes on at the next start.",
    ):
        output.note(line)
