"""The bank as releases from 0.2.0 on can host it.

No calls with a journal and no step that runs at most once, but a run that is started by another, branches, a list, a
signal and a timer. It names nothing of `bank_app`, which no older release can load; a test holds both to the same fates.
"""

import asyncio
import os
import urllib.request
from pathlib import Path

from pydantic import BaseModel
from sqlalchemy import text

from actionbus import ActionContext, Flow, NonRetryable, Retry, action, cel, workflow

PATIENT = Retry(attempts=1_000, initial="50ms", cap="1s")
ACCOUNTS = 50
TOPIC = os.environ.get("BANK_TOPIC", "transfers")
DAWDLES_EVERY, DAWDLES_AT = 13, 6
NOD_SECONDS = 2
ASKED_SECONDS = 10


def declined(number: int) -> bool:
    """Whether a transfer is declined in its last step."""
    return number % 10 == 3


def fails(number: int) -> bool:
    """Whether a transfer has to leave nothing."""
    return declined(number) or number % DAWDLES_EVERY == DAWDLES_AT


def accounts(number: int) -> tuple[int, int]:
    """From which account a transfer goes to which."""
    giver = number % ACCOUNTS
    return giver, (giver + 1 + number // ACCOUNTS % (ACCOUNTS - 1)) % ACCOUNTS


def amount(number: int) -> int:
    """How much it moves."""
    return 1 + number % 9


class Transfer(BaseModel):
    """What a run is started with."""

    number: int


class Notice(BaseModel):
    """Who is told of a transfer."""

    number: int
    told: list[str]


async def _move(ctx: ActionContext, kind: str, account: int, by: int) -> None:
    await ctx.db.execute(
        text("UPDATE accounts SET balance = balance + :amount WHERE account = :account"),
        {"amount": by, "account": account},
    )
    await ctx.db.execute(
        text("INSERT INTO moves (step_key, kind, run_id, account, amount) VALUES (:key, :kind, :run, :account, :by)"),
        {"key": ctx.step_key, "kind": kind, "run": ctx.run_id, "account": account, "by": by},
    )


def _ask(key: str) -> None:
    headers = {"content-type": "application/json", "idempotency-key": key}
    request = urllib.request.Request(os.environ["BANK_PEER"], b"{}", headers)  # noqa: S310 - the test's own server
    with urllib.request.urlopen(request, timeout=ASKED_SECONDS) as answer:  # noqa: S310 - the same
        answer.read()


@action(id="withdraw", effect="transactional", store="bank", retry=PATIENT)
async def withdraw(ctx: ActionContext, number: int) -> int:
    """Take the money from the giver."""
    await _move(ctx, "withdraw", accounts(number)[0], -amount(number))
    return amount(number)


@action(id="put-back", effect="transactional", store="bank", retry=PATIENT)
async def put_back(ctx: ActionContext, number: int, taken: int) -> None:
    """Undo withdraw; it needs what that made."""
    if taken != amount(number):
        raise NonRetryable(f"transfer {number} did not take {taken}", type="WrongAmount")
    await _move(ctx, "put-back", accounts(number)[0], taken)


@action(id="deposit", effect="transactional", store="bank", retry=PATIENT)
async def deposit(ctx: ActionContext, number: int) -> None:
    """Give the money to the taker."""
    await _move(ctx, "deposit", accounts(number)[1], amount(number))


@action(id="take-back", effect="transactional", store="bank", retry=PATIENT)
async def take_back(ctx: ActionContext, number: int) -> None:
    """Undo deposit."""
    await _move(ctx, "take-back", accounts(number)[1], -amount(number))


@action(id="dawdle", effect="transactional", store="bank", timeout="300ms", retry=Retry(attempts=1))
async def dawdle(ctx: ActionContext, number: int) -> int:
    """Write, and never come to an end."""
    await _move(ctx, "dawdle", accounts(number)[0], 0)
    await asyncio.Event().wait()
    return number


@action(id="wake", effect="transactional", store="bank", retry=PATIENT)
async def wake(ctx: ActionContext, number: int) -> None:
    """Undo dawdle, which never happened: this code must not run."""
    await _move(ctx, "wake", accounts(number)[0], 0)


@action(id="announce", retry=PATIENT)
def announce(number: int, whom: str) -> str:
    """Tell somebody, perhaps more than once."""
    place = os.open(Path(os.environ["BANK_FOLDER"]) / "announced", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(place, f"transfer-{number}:{whom}\n".encode())
    finally:
        os.close(place)
    return whom


@action(id="insure", retry=PATIENT)
def insure(ctx: ActionContext, number: int) -> int:
    """Call a peer that knows idempotency keys, as one does without a journal."""
    _ask(ctx.step_key)
    return number


@action(id="uninsure", retry=PATIENT)
def uninsure(ctx: ActionContext, number: int) -> int:
    """Undo insure, by another call."""
    _ask(f"{ctx.step_key}/undo")
    return number


@action(id="settle", effect="transactional", store="bank", retry=PATIENT, emits=[TOPIC])
async def settle(ctx: ActionContext, number: int) -> None:
    """The end of a transfer."""
    await _move(ctx, "settle", accounts(number)[0], 0)
    ctx.emit(TOPIC, key=ctx.run_id, value={"number": number})
    if declined(number):
        raise NonRetryable("the bank declines", type="Declined")
    if number % 7 == 5 and ctx.attempt == 1:
        raise RuntimeError("the bank stumbles")


@workflow(id="notice", version="1")
def notice(flow: Flow, notice: Notice) -> list[str]:
    """A run of its own, on another shard as often as not: tell everybody."""
    return flow.map(notice.told, lambda whom: flow.run(announce(number=notice.number, whom=whom)))


@workflow(id="transfer", version="1")
def transfer(flow: Flow, transfer: Transfer) -> int:
    """Withdraw, deposit, perhaps dawdle, tell and insure, wait for a nod, let time pass, settle."""
    number = transfer.number
    flow.run(withdraw(number=number), undo=lambda taken: put_back(number=number, taken=taken))
    flow.run(deposit(number=number), undo=lambda _: take_back(number=number))
    flow.choose(
        (
            cel("number % every == at", number=number, every=DAWDLES_EVERY, at=DAWDLES_AT),
            lambda: flow.run(dawdle(number=number), undo=lambda _: wake(number=number)),
        ),
    )
    flow.parallel(
        lambda: flow.child(notice, {"number": number, "told": ["giver", "taker"]}),
        lambda: flow.run(insure(number=number), undo=lambda _: uninsure(number=number)),
    )
    flow.wait_for("nod", bool, timeout=f"{NOD_SECONDS}s", on_timeout=lambda: True)
    flow.sleep("50ms")
    flow.run(settle(number=number))
    return number
