"""What a shell completes: ids of live runs and names of workflows, as far as they are found before a person types on.

A completion never says that something is wrong: the command itself will.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress
from typing import Any, Final

import typer

from actionbus.cli import session
from actionbus.client import census
from actionbus.contracts.topics import Topics
from actionbus.process.settings import Settings
from actionbus.provisioner import deploy

SECONDS: Final = 2.0  # that a person waits for a list
MOST: Final = 100  # names; more do not fit under a prompt
Source = Callable[[Settings], AsyncIterator[str]]


def run_ids(context: typer.Context, incomplete: str) -> list[str]:
    """Ids of live runs that begin so."""
    return _completed(context, _runs, incomplete)


def workflow_names(context: typer.Context, incomplete: str) -> list[str]:
    """Names of deployed workflows that begin so."""
    return _completed(context, _workflows, incomplete)


async def gathered(found: AsyncIterator[str], begin: str, seconds: float = SECONDS) -> list[str]:
    """What begins so, in order, each once; whatever was found in time."""
    names: set[str] = set()
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            async for each in found:
                if each.startswith(begin):
                    names.add(each)
                if len(names) == MOST:
                    break
    return sorted(names)


def _completed(context: typer.Context, source: Source, begin: str) -> list[str]:
    # The options before the command are parsed, but nothing has been called yet.
    given: dict[str, Any] = context.find_root().params
    for name in ("kafka", "prefix", "url"):
        setattr(session.OPTIONS, name, given.get(name))
    try:
        settings = session.settings()
        logging.disable(logging.CRITICAL)
        return session.run(lambda: gathered(source(settings), begin))
    except Exception:  # noqa: BLE001 - whatever is wrong, a person who presses Tab shall not read of it
        return []


async def _runs(settings: Settings) -> AsyncIterator[str]:
    gateway = session.gateway(settings)
    if gateway is None:
        live = census.live(session.connection(settings), Topics(settings.prefix), session.codec(settings), None)
        async for run in live:
            yield run.run_id
        return
    async with gateway as client, aclosing(client.list(live=True)) as rows:
        async for row in rows:
            yield row["run_id"]


async def _workflows(settings: Settings) -> AsyncIterator[str]:
    gateway = session.gateway(settings)
    if gateway is None:
        known = await deploy.deployed(session.connection(settings), Topics(settings.prefix), session.codec(settings))
        for key in known:
            yield key.partition("@")[0]
        return
    async with gateway as client:
        for each in await client.workflows():
            yield each["name"]
