"""Short lives under few ids: each start has a number of its own, which its row and its result must tell."""

from pydantic import BaseModel
from sqlalchemy import text

from actionbus import ActionContext, Flow, NonRetryable, Retry, action, workflow

PATIENT = Retry(attempts=1_000, initial="50ms", cap="1s")


def fails(number: int) -> bool:
    """Whether a life ends badly: what it wrote is undone."""
    return number % 5 == 3


class Life(BaseModel):
    """What a run is started with."""

    number: int


async def _write(ctx: ActionContext, kind: str, number: int) -> None:
    await ctx.db.execute(
        text("INSERT INTO lives (step_key, run_id, kind, number) VALUES (:key, :run, :kind, :number)"),
        {"key": ctx.step_key, "run": ctx.run_id, "kind": kind, "number": number},
    )


@action(id="mark", effect="transactional", store="bank", retry=PATIENT)
async def mark(ctx: ActionContext, number: int) -> int:
    """Write the number; a row of an earlier life of this id would answer with another one."""
    await _write(ctx, "mark", number)
    return number


@action(id="unmark", effect="transactional", store="bank", retry=PATIENT)
async def unmark(ctx: ActionContext, number: int) -> None:
    """Undo mark, with what mark made."""
    await _write(ctx, "unmark", number)


@action(id="close", effect="transactional", store="bank", retry=PATIENT)
async def close(ctx: ActionContext, number: int) -> None:
    """The end, which for some is bad."""
    if fails(number):
        raise NonRetryable("this life ends badly", type="Badly")
    await _write(ctx, "close", number)


@workflow(id="life", version="1")
def life(flow: Flow, life: Life) -> int:
    """Mark, close; the result is what mark made."""
    made = flow.run(mark(number=life.number), undo=lambda number: unmark(number=number))
    flow.run(close(number=life.number))
    return made
