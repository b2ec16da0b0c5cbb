"""`actionbus projector`: what an operator does with the tables that people read."""

import typer

from actionbus.cli import output, session
from actionbus.cli.session import OPTIONS
from actionbus.contracts.errors import SettingsRefused

app = typer.Typer(help="Work on the visibility database.", no_args_is_help=True, rich_markup_mode=None)
_STEP = 10_000  # events between two words about how far it is


@app.callback()
def _group() -> None:
    """Keep `rebuild` a command of its own, although it is the only one."""


@app.command()
def rebuild() -> None:
    """Make the tables anew from the topics, beside the live ones, and change over once they are as far.

    Projectors go on meanwhile. It can be interrupted and begun again.
    """
    try:
        from actionbus.projector import rebuilding  # of the extra `projector`
    except ModuleNotFoundError as error:
        raise SettingsRefused(f"a rebuild needs `pip install 'actionbus[projector]'`: {error}") from error
    said = 0

    def tell(progress: rebuilding.Progress) -> None:
        nonlocal said
        if progress.events >= said + _STEP:
            said = progress.events
            output.note(f"{progress.events} events written, {progress.passed} of at least {progress.total} offsets")

    made = session.run(lambda: rebuilding.rebuild(OPTIONS.settings(), tell))
    output.note(f"generation {made} is live; the one before is deleted by the projectors in a minute")
