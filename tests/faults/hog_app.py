"""The bank, and in the same workers an action that takes memory until the kernel ends its process."""

from bank_app import *  # noqa: F403 - a worker hosts what is in the module

from actionbus import Flow, Retry, action, workflow

MOST_MIB = 1_024  # where nobody ends it
BLOCK_MIB = 16


@action(id="hog", timeout="1h", retry=Retry(attempts=1))
def hog() -> str:
    """Take memory."""
    held = [b"x" * (BLOCK_MIB * 1_048_576) for _ in range(MOST_MIB // BLOCK_MIB)]
    return f"nobody minds {len(held)} blocks"


@workflow(id="greedy", version="1")
def greedy(flow: Flow) -> str:
    """One step that no worker outlives."""
    return flow.run(hog())
