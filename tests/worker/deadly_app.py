"""Two actions for tests that kill their worker: one that never lets it live, one that minds its own business."""

import asyncio
import os
from pathlib import Path

from actionbus import action


def _note(what: str) -> None:
    with Path("began.txt").open("a") as file:
        file.write(f"{what}\n")


@action(id="visit")
async def visit(place: str, seconds: float = 0) -> str:
    """Note that it began; whoever visits a pit takes the process along."""
    _note(place)
    if place.startswith("pit"):
        os._exit(9)
    await asyncio.sleep(seconds)
    return place
