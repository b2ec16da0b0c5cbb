"""The actions of a journey. Files in a folder of the test say when one may go on, and whether one succeeds."""

import asyncio
import os
from pathlib import Path

from actionbus import NonRetryable, Retry, action

ONCE = Retry(attempts=1)


def _file(name: str) -> Path:
    return Path(os.environ["JOURNEY_FOLDER"], name)


@action(id="book", description="Books something.")
async def book(name: str) -> str:
    """Always succeeds."""
    return f"booked {name}"


@action(id="unbook", description="Takes a booking back.")
async def unbook(name: str) -> None:
    """Always succeeds."""
    del name


@action(id="check", description="Checks a passport.")
async def check(name: str) -> str:
    """Never succeeds."""
    raise NonRetryable(f"the passport of {name} has expired", type="Expired")


@action(id="board", description="Waits at a gate until it opens; without a gate it does not wait.")
async def board(gate: str) -> str:
    """Says by a file that it has begun."""
    if gate:
        _file(f"{gate}.begun").touch()
        while not _file(f"{gate}.open").exists():  # noqa: ASYNC110 - a look at a file that a test makes
            await asyncio.sleep(0.05)
    return gate


@action(id="pay", description="Pays.", retry=ONCE)
async def pay(name: str) -> str:
    """Declined while there is a file that says so."""
    if _file(f"{name}.broke").exists():
        raise NonRetryable("the card was declined", type="Declined")
    return f"paid by {name}"


@action(id="refund", description="Gives the money back.", retry=ONCE)
async def refund(name: str) -> None:
    """Refused while there is a file that says so."""
    if _file(f"{name}.bank-closed").exists():
        raise NonRetryable("the bank is closed", type="Closed")


@action(id="depart", description="Departs.", retry=ONCE)
async def depart(name: str) -> None:
    """Fails for good while there is a file that says so."""
    if _file(f"{name}.strike").exists():
        raise NonRetryable("there is a strike", type="Strike")
