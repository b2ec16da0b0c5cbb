"""Two actions in one process: the one that may never let it live, and one that takes its time."""

import asyncio

from actionbus import action
from worker.deadly_app import visit

__all__ = ["stroll", "visit"]


@action(id="stroll")
async def stroll(seconds: float) -> str:
    """Mind its own business."""
    await asyncio.sleep(seconds)
    return "home"
