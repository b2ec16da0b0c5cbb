"""`actionbus dev`: a whole installation in one process, which follows the changes of a module."""

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from actionbus.cli import session
from actionbus.cli.session import OPTIONS
from actionbus.contracts.errors import SettingsRefused
from actionbus.sdk import registry


def dev(
    modules: Annotated[list[str], typer.Argument(help="Modules to run: path/to/app.py or pkg.module.")],
    *,
    kafka: Annotated[
        str | None, typer.Option(help="A broker that runs already, HOST:PORT; without it one is started here.")
    ] = None,
    state_dir: Annotated[Path, typer.Option(help="Where the broker, the cache and SQLite stores keep their data.")] = (
        Path(".actionbus/dev")
    ),
    port: Annotated[
        int | None, typer.Option(help="Where the broker started here listens; 9092 if free.", min=1, max=65_535)
    ] = None,
    reload: Annotated[bool, typer.Option(help="Follow changes of the modules.")] = True,
) -> None:
    """Run broker, orchestrator and worker in this process, until Ctrl-C.

    The modules' workflows are deployed. A changed workflow needs another version: a deployed one never changes.
    """
    registry.load(*modules)  # what is wrong with them is said before anything is started
    if reload and importlib.util.find_spec("watchfiles") is None:
        raise SettingsRefused("following changes needs `pip install 'actionbus[dev]'`, or --no-reload")
    from actionbus.cli import development  # services take as long to import as all else: no other command waits for it

    session.run(lambda: development.run(modules, kafka or OPTIONS.kafka, state_dir, port, reload=reload))
