"""Actions that take long. Files in a folder of the test take tokens, and say when an attempt has begun."""

import asyncio
import os
from pathlib import Path

from actionbus import ActionContext, Flow, Retry, action, workflow

AGAIN = Retry(attempts=3, initial="100ms")


def _file(name: str) -> Path:
    return Path(os.environ["LATER_FOLDER"], name)


@action(id="ask", description="Asks somebody.", timeout="1h")
async def ask(ctx: ActionContext, name: str) -> dict[str, str]:
    """Whoever finds the token answers."""
    draft = _file(f"{name}.draft")
    draft.write_text(ctx.token)
    draft.rename(_file(f"{name}.token"))
    return ctx.answer_later()


@action(id="copy", description="Copies pages.", timeout="1h", heartbeat="2s", retry=AGAIN)
async def copy(ctx: ActionContext, name: str) -> str:
    """The first attempt comes to page 3 and no further; the one after it goes on there."""
    if ctx.heartbeat_details is not None:
        return f"{name} from page {ctx.heartbeat_details['page']}"
    ctx.heartbeat({"page": 3})
    try:
        while True:
            await asyncio.sleep(0.1)
            ctx.heartbeat()
    finally:
        if ctx.cancelled:
            _file(f"{name}.called-back").touch()


@workflow(id="approval", version="1")
def approval(flow: Flow, name: str) -> dict[str, str]:
    """One question."""
    return flow.run(ask(name=name))


@workflow(id="copying", version="1")
def copying(flow: Flow, name: str) -> str:
    """One long step."""
    return flow.run(copy(name=name))
