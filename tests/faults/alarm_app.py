"""Runs that sleep until a moment of the caller's and then ring once: a row, written outside of actionbus."""

from pydantic import BaseModel
from sqlalchemy import text

from actionbus import ActionContext, Flow, Retry, action, workflow


class Alarm(BaseModel):
    """What a run is started with."""

    number: int
    at: int
    """Epoch milliseconds."""


@action(id="ring", effect="transactional", store="bank", retry=Retry(attempts=1_000, initial="50ms", cap="1s"))
async def ring(ctx: ActionContext, number: int, at: int) -> None:
    """Write that it rings, and whether that is too early by the database's clock; nothing keeps a second row away."""
    await ctx.db.execute(
        text(
            "INSERT INTO rings (run_id, number, early) "
            "VALUES (:run, :number, extract(epoch FROM clock_timestamp()) * 1000 < :at)"
        ),
        {"run": ctx.run_id, "number": number, "at": at},
    )


@workflow(id="alarm", version="1")
def alarm(flow: Flow, alarm: Alarm) -> int:
    """Sleep, then ring."""
    flow.sleep_until(alarm.at)
    flow.run(ring(number=alarm.number, at=alarm.at))
    return alarm.number
