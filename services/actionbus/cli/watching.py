"""`actionbus runs watch`: a run drawn on a terminal while it goes on, or told line by line where none is."""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from rich.console import Console
from rich.live import Live

from actionbus.cli import looking, output, session, showing, story
from actionbus.cli.arguments import RunId
from actionbus.cli.board import Board
from actionbus.cli.output import Format, Output
from actionbus.client import StartedRun, outcomes
from actionbus.contracts.errors import ActionbusError
from actionbus.contracts.events import WorkflowEvent
from actionbus.process.settings import Settings

DRAW_SECONDS: Final = 0.25  # between two pictures, so that times go on
LOOK_SECONDS: Final = 2.0  # at least, between two looks at what is waited for: each reads a partition


def watch(run_id: RunId, output_format: Output = None) -> None:
    """Watch a run until it has ended: drawn on a terminal, told in a pipe; ends with what `runs result` ends with."""
    settings = session.settings()
    shown = output.chosen(output_format)

    async def work() -> WorkflowEvent | None:
        async with session.client(settings) as client:
            run = client.handle(run_id)
            await run.state()
            async with aclosing(run.follow()) as events:
                if shown is Format.TABLE and sys.stdout.isatty():
                    return await _draw(settings, run, events)
                return await _tell(events, shown)

    last = session.run(work)
    if last is not None:
        outcomes.output(last)  # raises RunFailed when it ended without success


async def _tell(events: AsyncGenerator[WorkflowEvent], shown: Format) -> WorkflowEvent | None:
    teller = story.Teller()
    last: WorkflowEvent | None = None
    async for event in events:
        last = event if event.version else last
        if shown is Format.TABLE:
            output.sentences(teller.lines(event))
        else:
            for row in showing.rows(event):
                output.line(row)
    return last


async def _draw(settings: Settings, run: StartedRun, events: AsyncGenerator[WorkflowEvent]) -> WorkflowEvent | None:
    board, changed = Board(run.run_id), asyncio.Event()
    console = Console(file=sys.stdout, highlight=False, markup=False)
    with Live(board.draw(_now()), console=console, auto_refresh=False, vertical_overflow="crop") as live:

        async def draw() -> None:
            while True:
                live.update(board.draw(_now()), refresh=True)
                await asyncio.sleep(DRAW_SECONDS)

        async def look() -> None:
            while True:
                await changed.wait()
                changed.clear()
                board.waits = await _waits(settings, run)
                await asyncio.sleep(LOOK_SECONDS)

        beside = [asyncio.create_task(draw()), asyncio.create_task(look())]
        try:
            async for event in events:
                board.take(event)
                changed.set()
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            live.update(board.draw(_now()), refresh=True)
    return board.last


async def _waits(settings: Settings, run: StartedRun) -> list[str]:
    try:
        state = await run.state()
        graph = await looking.graph_of(settings, state) if state.scopes else None
    except ActionbusError:
        return []  # the events say whether somebody is away; this is only beside them
    return list(showing.waits_for(state, showing.waits_of(graph)))


def _now() -> int:
    return int(time.time() * 1000)
