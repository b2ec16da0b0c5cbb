"""What the canary runs: one step whose effect is a row that can be counted, and a second one behind it."""

from typing import Final

from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, insert

from actionbus.sdk.context import ActionContext
from actionbus.sdk.declare import action
from actionbus.sdk.flow import Flow
from actionbus.sdk.workflow import workflow

WORKFLOW: Final = "actionbus-canary"
STORE: Final = "canary"
TABLES: Final = MetaData()
BEATS: Final = Table(
    "actionbus_canary_beats",
    TABLES,
    Column("id", Integer, primary_key=True, autoincrement=True),  # so that a second row for a run is possible at all
    Column("run_id", String(200), nullable=False, index=True),
    comment="a row for every effect of a beat",
)
RUNS: Final = Table(
    "actionbus_canary_runs",
    TABLES,
    Column("run_id", String(200), primary_key=True),
    Column("asked_at", BigInteger, nullable=False, comment="epoch milliseconds"),
    comment="runs that were asked for and are not judged yet",
)


@action(id="actionbus-canary-beat", effect="transactional", store=STORE)
async def beat(ctx: ActionContext, run_id: str) -> None:
    """Write the row, in one commit with the completion of the step."""
    await ctx.db.execute(insert(BEATS).values(run_id=run_id))


@action(id="actionbus-canary-echo")
def echo(run_id: str) -> str:
    """A step without an effect."""
    return run_id


@workflow(id=WORKFLOW, version="1")
def canary(flow: Flow, run_id: str) -> str:
    """Beats once, and gives back what it was given."""
    flow.run(beat(run_id=run_id))
    return flow.run(echo(run_id=run_id))
