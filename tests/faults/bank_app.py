"""Transfers between accounts, with one action of each effect: what happens is written down outside of actionbus.

The number of a transfer decides its fate: most complete, some are declined at the end and leave nothing, some stumble.
"""

import asyncio
import os
from pathlib import Path

from pydantic import BaseModel
from sqlalchemy import text

from actionbus import ActionContext, Flow, NonRetryable, Retry, action, cel, rule, workflow

PATIENT = Retry(attempts=1_000, initial="50ms", cap="1s")  # brokers and databases come back
ACCOUNTS = 50
TOPIC = os.environ.get("BANK_TOPIC", "transfers")
DAWDLES_EVERY, DAWDLES_AT = 13, 6


def declined(number: int) -> bool:
    """Whether a transfer is declined in its last step: it must leave nothing."""
    return number % 10 == 3


def dawdles(number: int) -> bool:
    """Whether a transfer has one more step, which has written when its time is over: it never happened."""
    return number % DAWDLES_EVERY == DAWDLES_AT


def fails(number: int) -> bool:
    """Whether a transfer has to leave nothing."""
    return declined(number) or dawdles(number)


def stumbles(number: int) -> bool:
    """Whether the first attempt of the last step fails after it has written."""
    return number % 7 == 5


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


async def _move(ctx: ActionContext, kind: str, account: int, by: int) -> None:
    """Change a balance and say so in a row of its own: nothing but the inbox keeps a second one away."""
    await ctx.db.execute(
        text("UPDATE accounts SET balance = balance + :amount WHERE account = :account"),
        {"amount": by, "account": account},
    )
    await ctx.db.execute(
        text("INSERT INTO moves (step_key, kind, run_id, account, amount) VALUES (:key, :kind, :run, :account, :by)"),
        {"key": ctx.step_key, "kind": kind, "run": ctx.run_id, "account": account, "by": by},
    )


def _note(file: str, line: str) -> None:
    """One line, in one write to the end of a file, which is whole or not there."""
    place = os.open(Path(os.environ["BANK_FOLDER"]) / file, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(place, f"{line}\n".encode())
    finally:
        os.close(place)


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
def announce(ctx: ActionContext, number: int) -> str:
    """Tell somebody, perhaps more than once; runs in a thread."""
    _note("announced", ctx.step_key)
    return f"transfer {number}"


@action(id="insure", effect="http", store="bank", retry=PATIENT)
async def insure(ctx: ActionContext, number: int) -> int:
    """Call a peer that knows idempotency keys."""
    answer = await ctx.http.post(os.environ["BANK_PEER"], json={"insure": number})
    answer.raise_for_status()
    return int(answer.json()["charge"])


@action(id="uninsure", effect="http", store="bank", retry=PATIENT)
async def uninsure(ctx: ActionContext, number: int) -> None:
    """Undo insure, by another call."""
    answer = await ctx.http.post(os.environ["BANK_PEER"], json={"uninsure": number})
    answer.raise_for_status()


@action(id="stamp", effect="at_most_once", store="bank")
async def stamp(ctx: ActionContext, number: int) -> int:
    """What may not happen twice, and cannot be asked about."""
    await asyncio.to_thread(_note, "stamped", ctx.step_key)
    return number


@action(id="look", retry=PATIENT)
def look(ctx: ActionContext, number: int) -> int:
    """What somebody does who does not know whether it was stamped: note that it is in doubt."""
    _note("doubted", ctx.run_id)
    return number


@action(id="settle", effect="transactional", store="bank", retry=PATIENT, emits=[TOPIC])
async def settle(ctx: ActionContext, number: int) -> None:
    """The end of a transfer; what fails here has written and emitted before, and both must go with the transaction."""
    await _move(ctx, "settle", accounts(number)[0], 0)
    ctx.emit(TOPIC, key=ctx.run_id, value={"number": number})
    if declined(number):
        raise NonRetryable("the bank declines", type="Declined")
    if stumbles(number) and ctx.attempt == 1:
        raise RuntimeError("the bank stumbles")


@workflow(id="transfer", version="1")
def transfer(flow: Flow, transfer: Transfer) -> int:
    """Withdraw, deposit, perhaps dawdle, announce, insure, stamp, settle."""
    number = transfer.number
    flow.run(withdraw(number=number), undo=lambda taken: put_back(number=number, taken=taken))
    flow.run(deposit(number=number), undo=lambda _: take_back(number=number))
    flow.choose(
        (
            cel("number % every == at", number=number, every=DAWDLES_EVERY, at=DAWDLES_AT),
            lambda: flow.run(dawdle(number=number), undo=lambda _: wake(number=number)),
        ),
    )
    flow.run(announce(number=number))
    flow.run(insure(number=number), undo=lambda _: uninsure(number=number))
    flow.run(
        stamp(number=number),
        on_failure=[rule("OutcomeUnknown").fallback(look(number=number)), rule.any.fail()],
    )
    flow.run(settle(number=number))
    return number
