"""An action that calls over HTTP, for tests that kill its worker around the call."""

import asyncio
import time
from pathlib import Path

from actionbus import ActionContext, action


def _wait(gate: Path) -> None:
    while not gate.exists():
        time.sleep(0.01)


@action(id="charge", effect="http")
async def charge(ctx: ActionContext, url: str, amount: int, gate: str | None = None) -> int:
    """Charge somebody; with a gate, say so and wait until there is a file of that name."""
    answer = await ctx.http.post(url, json={"amount": amount})
    answer.raise_for_status()
    if gate is not None:
        await asyncio.to_thread(Path("answered").touch)
        await asyncio.to_thread(_wait, Path(gate))
    return answer.json()["charge"]
