"""Workflows that end in every way there is, so that everything that is measured has something to measure."""

import asyncio

from actionbus import Flow, Limit, Retry, action, rule, workflow


@action(id="greet", description="Greets.")
async def greet(name: str) -> str:
    """As it should be."""
    return f"hello {name}"


@action(id="narrow", description="One at a time.", limit=Limit(concurrency=1))
async def narrow(name: str) -> str:
    """Takes a while, so that others wait for their turn."""
    await asyncio.sleep(0.5)
    return name


@action(id="refuse", description="Fails for good.", retry=Retry(attempts=2, initial="10ms"))
async def refuse(name: str) -> str:
    """Fails."""
    raise LookupError(f"nobody knows {name}")


@action(id="undo", description="Takes a greeting back.")
async def undo(name: str) -> None:
    """As it should be."""
    del name


@action(id="hang", description="Takes too long.", timeout="500ms", retry=Retry(attempts=1))
async def hang(name: str) -> str:
    """Waits for ever."""
    await asyncio.Event().wait()
    return name


@workflow(id="fine", version="1")
def fine(flow: Flow, name: str) -> str:
    """Completes."""
    return flow.run(greet(name=name))


@workflow(id="undone", version="1")
def undone(flow: Flow, name: str) -> str:
    """Fails, and undoes what it did."""
    flow.run(greet(name=name), undo=lambda _: undo(name=name))
    return flow.run(refuse(name=name))


@workflow(id="late", version="1")
def late(flow: Flow, name: str) -> str:
    """Its step takes too long."""
    return flow.run(hang(name=name))


@workflow(id="crowded", version="1", limit=Limit(concurrency=2))
def crowded(flow: Flow, name: str) -> str:
    """Waits for its turn, and so do its steps."""
    return flow.run(narrow(name=name))


@workflow(id="asking", version="1")
def asking(flow: Flow, name: str) -> str:
    """Waits for an operator."""
    return flow.run(refuse(name=name), on_failure=[rule.any.pause()])
