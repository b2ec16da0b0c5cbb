"""`actionbus run`: one service in this process, until a signal asks it to end."""

import sys
from typing import Annotated

import typer

from actionbus.cli.session import OPTIONS
from actionbus.contracts.errors import SettingsRefused
from actionbus.process import loop
from actionbus.process.service import serving
from actionbus.process.settings import Settings
from actionbus.sdk import registry
from actionbus.sdk.registry import Registry

app = typer.Typer(help="Run one service.", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def orchestrator() -> None:
    """Own shards and advance their runs, beside any number of other orchestrators."""
    from actionbus.orchestrator import service  # takes long to import: no other command waits for it

    settings = OPTIONS.settings()
    sys.exit(loop.run(lambda: service.run(settings)))


@app.command()
def worker(
    modules: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODULE]...", help="Modules whose actions it performs; else ACTIONBUS_WORKER_MODULES."),
    ] = None,
) -> None:
    """Carry out the actions of modules, beside any number of other workers."""
    settings = OPTIONS.settings()
    targets = modules or list(settings.worker.modules)
    if not targets:
        raise SettingsRefused("a worker needs modules with actions: name them, or set ACTIONBUS_WORKER_MODULES")
    found = registry.load(*targets)
    sys.exit(loop.run(lambda: _work(settings, found)))


@app.command()
def projector() -> None:
    """Write what happens to runs into the visibility database, beside any number of other projectors."""
    try:
        from actionbus.projector import service  # of the extra `projector`, and it takes long to import
    except ModuleNotFoundError as error:
        raise SettingsRefused(f"a projector needs `pip install 'actionbus[projector]'`: {error}") from error
    settings = OPTIONS.settings()
    sys.exit(loop.run(lambda: service.run(settings)))


async def _work(settings: Settings, found: Registry) -> None:
    from actionbus.worker.service import Worker  # the same

    made = Worker(settings, found)
    async with serving("worker", settings, made.not_ready) as shutdown:
        await made.serve(shutdown.requested)


@app.command()
def gateway() -> None:
    """Answer HTTP: start runs, follow them and step in, beside any number of other gateways."""
    settings = OPTIONS.settings()
    sys.exit(loop.run(lambda: _answer(settings)))


async def _answer(settings: Settings) -> None:
    try:
        from actionbus.gateway.service import Gateway  # of the extra `gateway`, which only this command needs
    except ModuleNotFoundError as error:
        raise SettingsRefused(f"{error.name} is missing: pip install 'actionbus[gateway]'") from error
    made = Gateway(settings)
    async with serving("gateway", settings, made.not_ready) as shutdown:
        await made.serve(shutdown.requested)
