"""One verb for every run that fits a filter: a page of runs at a time, each asked by a request of its own."""

import asyncio
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field

from actionbus.client import RunHandle
from actionbus.contracts.errors import ActionbusError, Conflict, NoVerdict, Refused
from actionbus.gateway import backing
from actionbus.gateway.answers import View
from actionbus.gateway.backing import Backing
from actionbus.gateway.bodies import Bulk
from actionbus.gateway.intent import Intended, Intent
from actionbus.gateway.problems import Malformed, documented
from actionbus.visibility.filters import RunSort

router = APIRouter(prefix="/bulk", tags=["operating runs"])
PAGE = 200  # runs that are looked up at a time


class BulkVerb(StrEnum):
    """What can be asked of many runs."""

    CANCEL = "cancel"
    """Stop and undo."""
    TERMINATE = "terminate"
    """End at once."""
    PAUSE = "pause"
    """Schedule nothing new."""
    RESUME = "resume"
    """Go on, and try again what waits for an operator."""
    RESTART = "restart"
    """Run again from the beginning."""
    MIGRATE = "migrate"
    """Go on under another version."""
    RETRY_STEP = "retry-step"
    """Try every step again that waits for an operator."""


class Told(View):
    """A run, and why it did not do what was asked."""

    run_id: str
    reason: str


class BulkView(View):
    """What became of a bulk request."""

    matched: int = Field(description="Runs that fit the filter, within the limit.")
    accepted: int = Field(description="Runs that did what was asked.")
    pending: int = Field(description="Runs that were asked, and whose verdict is not in yet.")
    refused: list[Told]
    run_ids: list[str] = Field(description="With dry_run: the runs that would be asked.")
    next_cursor: str | None = Field(default=None, description="More runs fit: ask again with this cursor.")


@router.post(
    "/{verb}",
    responses=documented(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.NOT_FOUND),
)
async def ask_many(request: Request, verb: BulkVerb, body: Bulk, intended: Intended) -> BulkView:
    """Ask something of every run that fits a filter, the oldest first; the same key sent again has one effect."""
    back = backing.of(request)
    if verb is BulkVerb.MIGRATE and body.version is None:
        raise Malformed("migrate needs a version: that which the runs go on under")
    found, following = await _matching(back, body)
    if body.dry_run:
        return BulkView(matched=len(found), accepted=0, pending=0, refused=[], run_ids=found, next_cursor=following)
    room = asyncio.Semaphore(back.settings.gateway.bulk_at_once)

    async def ask(run_id: str) -> ActionbusError | None:
        async with room:
            try:
                await _ask(back, back.kafka.client.handle(run_id), verb, body, intended)
            except (NoVerdict, Conflict, Refused) as error:
                return error
        return None

    outcomes = await asyncio.gather(*map(ask, found))
    refused = [
        Told(run_id=run_id, reason=str(error))
        for run_id, error in zip(found, outcomes, strict=True)
        if error is not None and not isinstance(error, NoVerdict)
    ]
    return BulkView(
        matched=len(found),
        accepted=sum(error is None for error in outcomes),
        pending=sum(isinstance(error, NoVerdict) for error in outcomes),
        refused=refused,
        run_ids=[],
        next_cursor=following,
    )


async def _matching(back: Backing, body: Bulk) -> tuple[list[str], str | None]:
    found: list[str] = []
    cursor = body.cursor
    while len(found) < body.limit:
        page = await back.questions.runs(
            body.filter.asked(), sort=RunSort.STARTED, limit=min(PAGE, body.limit - len(found)), cursor=cursor
        )
        found += [each.run_id for each in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    return list(dict.fromkeys(found)), cursor  # an id that was used again is asked once


async def _ask(back: Backing, run: RunHandle, verb: BulkVerb, body: Bulk, intended: Intent) -> None:
    asked: dict[str, Any] = intended.asked(body) | {"request_id": f"{intended.request_id}/{run.run_id}"}
    match verb:
        case BulkVerb.CANCEL:
            await run.cancel(**asked)
        case BulkVerb.TERMINATE:
            await run.terminate(**asked)
        case BulkVerb.PAUSE:
            await run.pause(**asked)
        case BulkVerb.RESUME:
            await run.resume(**asked)
        case BulkVerb.RESTART:
            await run.restart(body.version, **asked)
        case BulkVerb.MIGRATE:
            await run.migrate(body.version or "", body.names, **asked)
        case BulkVerb.RETRY_STEP:
            await _retry(back, run, asked)


async def _retry(back: Backing, run: RunHandle, asked: dict[str, Any]) -> None:
    found = await back.questions.run(run.run_id)
    stuck = [] if found is None else [each.path for each in found.steps if each.stuck is not None]
    if not stuck:
        raise Conflict(f"run {run.run_id}: no step waits for an operator")
    for path in stuck:
        mine: dict[str, Any] = asked | {"request_id": f"{asked['request_id']}/{path}"}
        await run.retry_step(path, **mine)
