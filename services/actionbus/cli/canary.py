"""`actionbus canary`: small runs without end on a live installation, judged by a ledger outside of it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from actionbus.cli.session import OPTIONS
from actionbus.process import loop
from actionbus.process.settings import Settings


def canary(
    *,
    every: Annotated[float, typer.Option(help="Seconds from one run to the next.", min=0.01)] = 1.0,
    due: Annotated[float, typer.Option(help="Seconds after which a run is overdue.", min=1)] = 30.0,
    state_dir: Annotated[
        Path, typer.Option(help="Where the ledger is kept; ACTIONBUS_STORE_CANARY_URL names a database instead.")
    ] = Path(".actionbus/canary"),
) -> None:
    """Run small workflows for ever on a live installation, and expose what became of them as metrics.

    It makes the topics of its two actions, deploys its workflow, and carries its actions out itself. Lost and doubled
    runs are counted by a ledger in a database of its own, which outlives it.
    """
    settings = OPTIONS.settings()
    sys.exit(loop.run(lambda: _run(settings, every, due, state_dir)))


async def _run(settings: Settings, every: float, due: float, folder: Path) -> None:
    from actionbus.canary import beat  # services take long to import: no other command waits for them
    from actionbus.canary.ledger import Ledger
    from actionbus.canary.metronome import Metronome
    from actionbus.cli import session
    from actionbus.cli.workshop import Workshop
    from actionbus.process.service import serving
    from actionbus.worker.stores import plain_engine

    workshop = Workshop(settings, [beat.__name__], folder, own_broker=False)
    given = settings.store.get(beat.STORE)
    url = _file(folder, beat.STORE) if given is None else given.get_secret_value()
    async with (
        serving("canary", settings, workshop.not_ready) as shutdown,
        session.client(settings) as client,
    ):
        engine = plain_engine(beat.STORE, url)
        ledger = Ledger(engine)
        await ledger.prepare()
        await workshop.open()
        try:
            await Metronome(client, ledger, every=every, due=due).run(shutdown.requested)
        finally:
            await workshop.close()
            await engine.dispose()


def _file(folder: Path, store: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / store}.db"
