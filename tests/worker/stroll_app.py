"""An action that takes its time."""

import asyncio

from actionbus import action


@action(id="stroll")
async def stroll(seconds: float) -> str:
    """Mind its own business."""
    await asyncio.sleep(seconds)
    return "home"
