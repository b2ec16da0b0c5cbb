"""Actions whose every effect is a row in a database outside actionbus: what the fault tests count.

The order's number decides its fate: most complete, some are declined for good, some fail once before they succeed.
"""

import os
from pathlib import Path

from pydantic import BaseModel
from sqlalchemy import text

from actionbus import ActionContext, Flow, NonRetryable, Retry, action, workflow

PATIENT = Retry(attempts=50, initial="50ms", cap="1s")  # SQLite lets one process in at a time, on a busy machine late


def declined(number: int) -> bool:
    """Whether charge declines this order for good: it must leave nothing."""
    return number % 10 == 3


def flaky(number: int) -> bool:
    """Whether the first attempt to ship this order fails."""
    return number % 7 == 5


class Order(BaseModel):
    """What a run is started with."""

    number: int


class Entry(BaseModel):
    """What an action made."""

    entry: str


async def book(ctx: ActionContext, kind: str, number: int) -> Entry:
    """Write one row per effect; nothing but the inbox keeps a second one away."""
    await ctx.db.execute(
        text("INSERT INTO entries (step_key, kind, run_id, number, pid) VALUES (:key, :kind, :run, :number, :pid)"),
        {"key": ctx.step_key, "kind": kind, "run": ctx.run_id, "number": number, "pid": os.getpid()},
    )
    return Entry(entry=f"{kind}-{number}")


@action(id="reserve", description="Books stock.", effect="transactional", store="ledger", retry=PATIENT)
async def reserve(ctx: ActionContext, number: int) -> Entry:
    """The first effect of an order."""
    return await book(ctx, "reserve", number)


@action(id="release", description="Takes a reservation back.", effect="transactional", store="ledger", retry=PATIENT)
async def release(ctx: ActionContext, number: int, entry: str) -> None:
    """Undoes reserve; it needs what reserve made."""
    if entry != f"reserve-{number}":
        raise NonRetryable(f"order {number} did not make {entry}", type="WrongEntry")
    await book(ctx, "release", number)


@action(id="charge", description="Charges the customer.", effect="transactional", store="ledger", retry=PATIENT)
async def charge(ctx: ActionContext, number: int) -> Entry:
    """Declines some orders after it has written: the row must go with the transaction."""
    entry = await book(ctx, "charge", number)
    if declined(number):
        raise NonRetryable("the card was declined", type="Declined")
    return entry


@action(id="refund", description="Gives the money back.", effect="transactional", store="ledger", retry=PATIENT)
async def refund(ctx: ActionContext, number: int) -> None:
    """Undoes charge."""
    await book(ctx, "refund", number)


@action(id="notify", description="Tells somebody; may repeat.", retry=PATIENT)
def notify(ctx: ActionContext, number: int) -> str:
    """An idempotent effect: one file per step key, written again by every repetition; runs in a thread."""
    folder = Path(os.environ["LEDGER_NOTICES"])
    (folder / ctx.step_key.replace("/", "+")).write_text(str(number))
    return "told"


@action(id="ship", description="Sends the parcel.", effect="transactional", store="ledger", retry=PATIENT)
async def ship(ctx: ActionContext, number: int) -> Entry:
    """Fails once for some orders, after it has written."""
    entry = await book(ctx, "ship", number)
    if flaky(number) and ctx.attempt == 1:
        raise RuntimeError("the parcel service hiccuped")
    return entry


@workflow(id="order", version="1")
def order(flow: Flow, order: Order) -> Entry:
    """Reserve, charge, notify, ship; a declined order leaves nothing."""
    flow.run(reserve(number=order.number), undo=lambda made: release(number=order.number, entry=made.entry))
    flow.run(charge(number=order.number), undo=lambda _: refund(number=order.number))
    flow.run(notify(number=order.number))
    return flow.run(ship(number=order.number))
