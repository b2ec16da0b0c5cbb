"""What operators look at: tasks, incidents, what windows say, and whether all of it is there."""

import asyncio
import time
from contextlib import suppress
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from actionbus.contracts import identifiers
from actionbus.contracts.errors import ActionbusError
from actionbus.gateway import backing, views
from actionbus.gateway.answers import RunPage, TaskPage, View, WindowView
from actionbus.gateway.backing import Backing
from actionbus.gateway.grammar import ActionName, Cursor, WorkflowName
from actionbus.gateway.problems import RETRY_AFTER_SECONDS, Malformed
from actionbus.gateway.runs import UNREADABLE
from actionbus.visibility.insights import LENGTHS_MS, Resolution, Span, WindowKind

router = APIRouter(tags=["looking"])
Limit = Annotated[int, Query(ge=1, le=200)]
USUAL_WINDOWS: Final = 60  # when nothing says how far back
MOST_WINDOWS: Final = 1_500  # a day of minutes and a little more
BEHIND_SECONDS: Final = 5.0  # how long whoever asks for the health waits for the lag


class TaskFilter(BaseModel):
    """Tasks for which all of this holds, a page at a time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workflow: str | None = None
    assignee: str | None = None
    overdue: bool | None = None
    limit: int = Field(default=50, ge=1, le=200)
    cursor: Cursor | None = None


class InsightsFilter(BaseModel):
    """A workflow or an action, and a stretch of time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workflow: WorkflowName | None = None
    action: ActionName | None = None
    resolution: Resolution = Resolution.MINUTE
    after: AwareDatetime | None = Field(default=None, description="Null: sixty windows before the end.")
    before: AwareDatetime | None = Field(default=None, description="Null: now.")


class InsightsView(View):
    """What happened to the runs of a workflow, or the steps of an action."""

    windows: list[WindowView]
    total: WindowView


class PartView(View):
    """Something that the gateway stands on."""

    reachable: bool
    reason: str | None = None


class HealthView(View):
    """Whether the gateway can answer, and how far the views are behind."""

    kafka: PartView
    database: PartView
    behind_records: int | None = Field(
        description="Events that are not in the visibility database yet; null: that could not be found out."
    )


@router.get("/tasks", responses=UNREADABLE)
async def list_tasks(request: Request, asked: Annotated[TaskFilter, Query()]) -> TaskPage:
    """What people are asked for, the oldest first."""
    page = await backing.of(request).questions.tasks(**asked.model_dump(), now=_now())
    return TaskPage(items=[views.task(each) for each in page.items], next_cursor=page.next_cursor)


@router.get("/incidents", responses=UNREADABLE)
async def list_incidents(
    request: Request, workflow: str | None = None, limit: Limit = 50, cursor: Cursor | None = None
) -> RunPage:
    """Runs that wait for an operator, those first that have waited longest."""
    page = await backing.of(request).questions.incidents(workflow=workflow, limit=limit, cursor=cursor)
    return RunPage(items=[views.run(each) for each in page.items], next_cursor=page.next_cursor)


@router.get("/insights", responses=UNREADABLE)
async def get_insights(request: Request, asked: Annotated[InsightsFilter, Query()]) -> InsightsView:
    """Starts, ends, failures and latencies of a workflow or an action, in windows of UTC."""
    kind, name = (WindowKind.WORKFLOW, asked.workflow) if asked.action is None else (WindowKind.ACTION, asked.action)
    if name is None or (asked.workflow is not None and asked.action is not None):
        raise Malformed("say either workflow or action")
    identifiers.name(f"{kind.value} id", name)
    length = LENGTHS_MS[asked.resolution]
    until = _now() if asked.before is None else round(asked.before.timestamp() * 1000)
    since = until - USUAL_WINDOWS * length if asked.after is None else round(asked.after.timestamp() * 1000)
    if not 0 <= until - since <= MOST_WINDOWS * length:
        raise Malformed(f"from after to before are 0 to {MOST_WINDOWS} windows of {asked.resolution.value}")
    span = Span(resolution=asked.resolution, after=since, before=until)
    found = backing.of(request).insights
    return InsightsView(
        windows=[views.window(each) for each in await found.windows(kind, name, span)],
        total=views.window(await found.total(kind, name, span)),
    )


@router.get("/health", responses={503: {"description": "Something is away.", "model": HealthView}})
async def get_health(request: Request, response: Response) -> HealthView:
    """What is reachable, and how far the visibility database is behind."""
    back = backing.of(request)
    away, database = await asyncio.gather(back.kafka_away(), _database(back))
    kafka, behind = PartView(reachable=away is None, reason=away), None
    if kafka.reachable and database.reachable:
        with suppress(ActionbusError, TimeoutError):  # one of them has just gone: the next look says which
            async with asyncio.timeout(BEHIND_SECONDS):
                behind = await _behind(back)
    if not (kafka.reachable and database.reachable):
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return HealthView(kafka=kafka, database=database, behind_records=behind)


async def _database(back: Backing) -> PartView:
    try:
        reason = await back.database.unfit()
    except ActionbusError as error:
        reason = str(error)
    return PartView(reachable=reason is None, reason=reason)


async def _behind(back: Backing) -> int:
    """Events that are not in the tables; what transactions leave behind their records is none."""
    kafka = back.kafka
    topic = kafka.topics.events
    written = {(topic, each.partition): each.position for each in await back.questions.written_to()}
    places = [(topic, partition) for partition in range(await kafka.partitions(topic))]
    behind = 0
    for place, end in (await kafka.events.ends(places)).items():
        start = max(await kafka.events.earliest(*place), written.get(place, 0))
        if await kafka.events.written_at(*place, start, end) is not None:
            behind += end - start
    return behind


def _now() -> int:
    return time.time_ns() // 1_000_000
