"""An action that runs at most once, for tests that kill its worker in the middle of it."""

import asyncio
from pathlib import Path

from actionbus import action


def _note(what: str) -> None:
    with Path("began.txt").open("a") as file:
        file.write(f"{what}\n")


@action(id="launch", effect="at_most_once")
async def launch(place: str) -> str:
    """Note that it began; the launch from the pit never ends."""
    _note(place)
    if place == "pit":
        await asyncio.Event().wait()
    return place
