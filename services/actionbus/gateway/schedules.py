"""Schedules: created, looked at, told things, ended."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from actionbus.client import ScheduleHandle
from actionbus.client.scheduling import ScheduleState
from actionbus.contracts import schedules
from actionbus.gateway import backing, views
from actionbus.gateway.answers import Asked, RunPage, View
from actionbus.gateway.bodies import Backfill, Body, ChangedSchedule, Firing, NewSchedule
from actionbus.gateway.grammar import Cursor, ScheduleId
from actionbus.gateway.intent import Intended, answers, carried_out
from actionbus.gateway.runs import ABSENT, UNREADABLE
from actionbus.visibility.filters import RunFilter

router = APIRouter(prefix="/schedules", tags=["schedules"])
UPCOMING = 5


class ScheduleView(View):
    """How a schedule stands."""

    schedule_id: str
    status: str
    schedule: dict[str, Any] | None
    standing: dict[str, Any] | None
    upcoming: list[datetime]


def handle(request: Request, schedule_id: str) -> ScheduleHandle:
    """The schedule that a request is about."""
    return backing.of(request).kafka.client.schedule(schedule_id)


@router.get("", responses=UNREADABLE)
async def list_schedules(
    request: Request,
    live: Annotated[bool | None, Query(description="Whether it has not ended.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Cursor | None = None,
) -> RunPage:
    """The runs that schedules are."""
    asked = RunFilter(workflow=schedules.WORKFLOW, live=live)
    page = await backing.of(request).questions.runs(asked, limit=limit, cursor=cursor)
    return RunPage(items=[views.run(each) for each in page.items], next_cursor=page.next_cursor)


@router.post("", status_code=HTTPStatus.CREATED, responses=answers())
async def create_schedule(request: Request, body: NewSchedule, intended: Intended) -> Asked:
    """Let a schedule begin under an id."""
    client = backing.of(request).kafka.client
    return await carried_out(
        intended, body.schedule_id, body, client.create_schedule, body.schedule_id, body.schedule,
        if_exists=body.if_exists,
    )  # fmt: skip


@router.get("/{schedule_id}", responses=ABSENT)
async def get_schedule(request: Request, schedule_id: ScheduleId) -> ScheduleView:
    """How a schedule stands, and when it fires next."""
    return _view(await handle(request, schedule_id).state())


@router.put("/{schedule_id}", responses=answers())
async def change_schedule(
    request: Request, schedule_id: ScheduleId, body: ChangedSchedule, intended: Intended
) -> Asked:
    """Let it be another schedule from now on."""
    return await carried_out(intended, schedule_id, body, handle(request, schedule_id).update, body.schedule)


@router.delete("/{schedule_id}", responses=answers())
async def delete_schedule(request: Request, schedule_id: ScheduleId, intended: Intended) -> Asked:
    """End the schedule; its live run goes on."""
    return await carried_out(intended, schedule_id, Body(), handle(request, schedule_id).delete)


@router.post("/{schedule_id}/pause", responses=answers())
async def pause_schedule(request: Request, schedule_id: ScheduleId, body: Body, intended: Intended) -> Asked:
    """Start nothing until it is resumed."""
    return await carried_out(intended, schedule_id, body, handle(request, schedule_id).pause)


@router.post("/{schedule_id}/resume", responses=answers())
async def resume_schedule(request: Request, schedule_id: ScheduleId, body: Body, intended: Intended) -> Asked:
    """Go on; what the pause held back fires if it is not too late."""
    return await carried_out(intended, schedule_id, body, handle(request, schedule_id).resume)


@router.post("/{schedule_id}/trigger", responses=answers())
async def trigger_schedule(request: Request, schedule_id: ScheduleId, body: Firing, intended: Intended) -> Asked:
    """Fire now."""
    return await carried_out(intended, schedule_id, body, handle(request, schedule_id).trigger, body.overlap)


@router.post("/{schedule_id}/backfill", responses=answers())
async def backfill_schedule(request: Request, schedule_id: ScheduleId, body: Backfill, intended: Intended) -> Asked:
    """Fire for every time in a span that is past."""
    verb = handle(request, schedule_id).backfill
    return await carried_out(intended, schedule_id, body, verb, body.since, body.until, together=body.together)


def _view(state: ScheduleState) -> ScheduleView:
    return ScheduleView(
        schedule_id=state.schedule_id,
        status=state.status.value,
        schedule=None if state.schedule is None else state.schedule.model_dump(mode="json"),
        standing=None if state.standing is None else state.standing.model_dump(mode="json"),
        upcoming=[views.when(each) for each in state.upcoming(UPCOMING)],
    )
