"""What the demo shows: live counts on a terminal, one line for each milestone anywhere, and the table at the end."""

import time
from collections import Counter
from typing import Self

import history
import judge
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

MILESTONES_SHOWN = 8
REASONS_SHOWN = 3


class Screen:
    """The progress of one demo. On anything but a terminal only milestones are printed."""

    def __init__(self, console: Console, people: int) -> None:
        self.console = console
        self._people = people
        self._begun = time.monotonic()
        self._milestones: list[str] = []
        self._reasons: list[str] = []
        self._live = Live(console=console, refresh_per_second=4, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Take the live counts away."""
        if self._live is not None:
            self._live.stop()

    def say(self, text: str) -> None:
        """A milestone, with the seconds since the demo began."""
        line = f"{time.monotonic() - self._begun:5.1f} s  {text}"
        if self._live is None:
            self.console.print(line, highlight=False, markup=False)
        else:
            self._live.console.print(line, highlight=False, markup=False)

    def reason(self, text: str) -> None:
        """Why a signup did not complete; the latest ones are shown."""
        self._reasons = [*self._reasons, text][-REASONS_SHOWN:]

    def show(self, endings: Counter[str], world: judge.World) -> None:
        """The counts as they are now."""
        if self._live is not None:
            self._live.update(self._counts(endings, world))

    def _counts(self, endings: Counter[str], world: judge.World) -> RenderableType:
        ended = sum(endings.values()) - endings["live"] - endings["submitted"]
        table = Table.grid(padding=(0, 2))
        table.add_row(
            "signups ended", ProgressBar(total=self._people, completed=ended, width=40), f"{ended}/{self._people}"
        )
        table.add_row("under way", "", str(endings["live"]))
        table.add_row("rows, mails, contacts", "", f"{world.users.total()}, {_mails(world)}, {world.contacts.total()}")
        return Group(table, *(Text(f"  {each[:110]}", style="dim") for each in self._reasons))


def final_table(
    endings: Counter[str], world: judge.World, published: history.History, kills: list[tuple[str, int]]
) -> Table:
    """What is there once everything has ended."""
    table = Table(title="The outside world, as the judge finds it", min_width=64)
    table.add_column("")
    table.add_column("", justify="right")
    table.add_row("people on the list", str(sum(endings.values())))
    for ending, count in endings.most_common():
        table.add_row(f"  signups {ending}", str(count))
    table.add_section()
    table.add_row("rows in the users' database", str(world.users.total()))
    table.add_row("letters queued for full mailboxes", str(world.letters.total()))
    table.add_row("welcome mails received", str(world.welcomes.total()))
    table.add_row("apologies received", str(world.apologies.total()))
    table.add_row("contacts in the CRM", str(world.contacts.total()))
    table.add_section()
    table.add_row("mails that came again and were dropped", str(world.repeated_mails))
    table.add_row("contacts that came again and were dropped", str(world.repeated_contacts))
    table.add_row("mails refused", _by_code(world.refused_mails))
    table.add_row("contacts refused", _by_code(world.refused_contacts))
    table.add_section()
    table.add_row("steps done", str(published.steps))
    for decision, count in published.decisions.most_common():
        table.add_row(f"decisions: {decision}", str(count))
    for name, live in kills:
        table.add_row(f"runs under way when {name} was killed", str(live))
    return table


def _mails(world: judge.World) -> int:
    return world.welcomes.total() + world.apologies.total()


def _by_code(refused: Counter[str]) -> str:
    return ", ".join(f"{count} with {code}" for code, count in sorted(refused.items())) or "0"
