"""Actions and workflows with limits. A file in a folder of the test says who began and ended, in the order they did."""

import asyncio
import os
from pathlib import Path

from actionbus import Flow, Limit, action, workflow

WORK_SECONDS = 0.05


def _folder() -> Path:
    return Path(os.environ["LIMITS_FOLDER"])


def _note(what: str, name: str) -> None:
    with (_folder() / "log").open("a") as log:  # one short write at the end of a file: nothing comes between
        log.write(f"{what} {name}\n")


async def _work(what: str, name: str) -> str:
    _note(f"{what}-begins", name)
    await asyncio.sleep(WORK_SECONDS)
    while name == "gated" and not (_folder() / "open").exists():  # noqa: ASYNC110 - a look at a file that a test makes
        await asyncio.sleep(0.05)
    _note(f"{what}-ends", name)
    return name


@action(id="narrow", description="Few at a time.", limit=Limit(concurrency=5))
async def narrow(name: str) -> str:
    """Takes a moment."""
    return await _work("narrow", name)


@action(id="own", description="Two at a time for each customer.", limit=Limit(concurrency=2, key="input.customer"))
async def own(customer: str, name: str) -> str:
    """Takes a moment."""
    return await _work(f"own-{customer}", name)


@action(id="wide", description="Any number at a time.")
async def wide(name: str) -> str:
    """Takes a moment."""
    return await _work("wide", name)


@workflow(id="narrows", version="1")
def narrows(flow: Flow, name: str) -> str:
    """One step with a limit."""
    return flow.run(narrow(name=name))


@workflow(id="owns", version="1")
def owns(flow: Flow, names: dict[str, str]) -> str:
    """One step with a limit for each customer."""
    return flow.run(own(customer=names["customer"], name=names["name"]))


@workflow(id="single", version="1", limit=Limit(concurrency=1))
def single(flow: Flow, name: str) -> str:
    """One run at a time, where they share a shard."""
    return flow.run(wide(name=name))
