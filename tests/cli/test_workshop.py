"""The worker that `actionbus dev` runs for a module."""

import asyncio

from actionbus.cli import workshop
from actionbus.contracts.errors import Unavailable
from actionbus.process.settings import Settings


class Worker:
    """One whose broker does not answer the first time."""

    begun = 0

    def __init__(self, *_, **__) -> None:
        """As the real one is made."""

    async def serve(self, stop: asyncio.Event) -> None:
        """Work until it is to stop."""
        Worker.begun += 1
        if Worker.begun == 1:
            raise Unavailable("it answers, but no request: it is starting")
        await stop.wait()


async def test_a_broker_that_does_not_answer_yet_is_waited_for(monkeypatch, tmp_path, capsys) -> None:
    """On a busy machine the broker takes its time; nobody has to change a module for it."""
    monkeypatch.setattr(workshop, "Worker", Worker)
    monkeypatch.setattr(workshop, "AGAIN_SECONDS", 0.0)
    shop = workshop.Workshop(Settings(), [], tmp_path, own_broker=True)
    shop._start(shop._made(shop.found))
    async with asyncio.timeout(60):
        while Worker.begun < 2:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0.01)
    await shop.close()
    assert "the worker begins again: it answers, but no request" in capsys.readouterr().err
