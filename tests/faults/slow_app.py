"""The bank, and in the same workers actions that last for as long as somebody wants, or no time at all.

The reader of commands takes a member for dead that reads nothing for some seconds instead of minutes.
"""

import asyncio
import os
import time
from pathlib import Path

from bank_app import *  # noqa: F403 - a worker hosts what is in the module

from actionbus import ActionContext, Flow, Retry, action, workflow
from actionbus.kafka import clients
from actionbus.worker.lane import Lane

POLL_MS, HELD = "SLOW_POLL_MS", "SLOW_HELD"
FOLDER = Path(os.environ.get("BANK_FOLDER", "."))
LOOK_SECONDS = 0.1

clients.MAX_POLL_INTERVAL_MS = int(os.environ.get(POLL_MS, clients.MAX_POLL_INTERVAL_MS))


def _note(what: str, ctx: ActionContext) -> None:
    """One line, in one write."""
    place = os.open(FOLDER / "slow", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(place, f"{what} {ctx.step_key}\n".encode())
    finally:
        os.close(place)


@action(id="linger", timeout="1h", retry=Retry(attempts=1))
async def linger(ctx: ActionContext, gate: str) -> str:
    """Wait on the loop until there is a file of that name; not at all without a name."""
    _note("begin", ctx)
    while gate and not (FOLDER / gate).exists():  # noqa: ASYNC110 - a file tells nobody
        await asyncio.sleep(LOOK_SECONDS)
    _note("end", ctx)
    return gate


@action(id="toil", timeout="1h", retry=Retry(attempts=1))
def toil(ctx: ActionContext, gate: str) -> str:
    """The same in a thread."""
    _note("begin", ctx)
    while gate and not (FOLDER / gate).exists():
        time.sleep(LOOK_SECONDS)
    _note("end", ctx)
    return gate


@workflow(id="lingering", version="1")
def lingering(flow: Flow, gate: str) -> str:
    """One step on the loop."""
    return flow.run(linger(gate=gate))


@workflow(id="toiling", version="1")
def toiling(flow: Flow, gate: str) -> str:
    """One step in a thread."""
    return flow.run(toil(gate=gate))


if os.environ.get(HELD):
    _read = Lane._read

    async def _held(self: Lane, room: int) -> None:
        """Read on only when everything is done, as the plain loop of a consumer does."""
        while self._running:  # noqa: ASYNC110 - the rule that is taken out
            await asyncio.sleep(LOOK_SECONDS)
        await _read(self, room)

    Lane._read = _held
