"""Actions that compute in processes of their own, for tests that import them and for the processes themselves."""

import os
import time
from pathlib import Path

from actionbus import ActionContext, ActionFailed, action
from actionbus.sdk.action import Action


@action(id="square", cpu_bound=True, max_concurrency=2, emits=["squares"])
def square(ctx: ActionContext, n: int) -> dict[str, int]:
    """The square, and in which process it was computed."""
    ctx.emit("squares", key=str(n), value={"square": n * n})
    return {"square": n * n, "pid": os.getpid()}


@action(id="fail", cpu_bound=True)
def fail(secret: str) -> None:
    """Fail with a secret in the message."""
    raise ActionFailed("Odd", f"what {secret} says is odd")


@action(id="vanish", cpu_bound=True, max_concurrency=1)
def vanish(marker: str) -> str:
    """Take the process along, unless it was here before."""
    if Path(marker).exists():
        return "back"
    Path(marker).touch()
    os._exit(7)


@action(id="spin", cpu_bound=True, timeout="1s", max_concurrency=1)
def spin(marker: str) -> None:
    """Say who spins, then spin for ever."""
    Path(marker).write_text(str(os.getpid()))
    while True:
        time.sleep(0)


@action(id="tell", cpu_bound=True, heartbeat="30s")
def tell(ctx: ActionContext, gate: str) -> str:
    """Say how far it is until somebody opens the gate."""
    while not Path(gate).exists():
        ctx.heartbeat({"waits": "yes"})
        time.sleep(0.01)
    return "open"


ACTIONS: dict[str, Action] = {each.id: each for each in (square, fail, vanish, spin, tell)}
