"""Following one run while it lives: its events as server-sent events, and its result by a long poll.

What happened before comes from the visibility database, what happens now from the events topic. The database is some
moments behind, so between the two there may be a gap, which is read from the database once it is there.
"""

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager, suppress
from http import HTTPStatus
from typing import Annotated, Any, Final

import structlog
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from actionbus.client import outcomes
from actionbus.client.tail import Follower
from actionbus.contracts.errors import ActionbusError, RunFailed, RunMissing, Unavailable
from actionbus.contracts.events import EntryKind, WorkflowEvent
from actionbus.contracts.run import RunStatus, WorkflowRun
from actionbus.gateway import backing, views
from actionbus.gateway.answers import ResultView
from actionbus.gateway.backing import Backing
from actionbus.gateway.grammar import PLACE, RunId, said
from actionbus.gateway.intent import LONGEST_WAIT
from actionbus.gateway.problems import Malformed
from actionbus.gateway.runs import ABSENT, Life, decoded
from actionbus.process import metrics

LOOK_SECONDS: Final = 1.0  # between two looks into the database, while nothing comes from the topic
COMMENT_SECONDS: Final = 15.0  # of silence, before a comment shows that the stream lives
AGAIN_MS: Final = 2_000  # after which a browser comes again when a stream was cut
PAGE: Final = 200
MEDIA_TYPE: Final = "text/event-stream"

_PLACE: Final = re.compile(PLACE)
router = APIRouter(prefix="/runs/{run_id}", tags=["runs"])
_log = structlog.get_logger(__name__)


async def _followed(request: Request, run_id: RunId) -> AsyncGenerator[Follower]:
    """What a stream needs, had before it begins: a refusal is an answer, and not a stream that breaks off."""
    async with _listening(backing.of(request), run_id) as follower:
        yield follower


Following = Annotated[Follower, Depends(_followed)]  # given back when the last byte is sent


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Events as they come: `id` is incarnation:version, `data` an event as the history has it.",
            "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
        },
        **ABSENT,
    },
)
async def get_events(
    request: Request,
    run_id: RunId,
    follower: Following,
    life: Life = None,
    last_event_id: Annotated[
        str | None,
        Header(
            description="Go on behind this one, `incarnation:version`.", max_length=100, json_schema_extra=said(PLACE)
        ),
    ] = None,
) -> StreamingResponse:
    """What happened to a run, then what happens to it, until it has ended."""
    back = backing.of(request)
    incarnation, after = place(last_event_id)
    if life is not None and incarnation not in (None, life):
        raise Malformed(f"Last-Event-ID is of the incarnation {incarnation}, and {life} is asked for: leave one out")
    incarnation = incarnation or life
    await _unseen(back, run_id, incarnation)
    stream = _written(back, follower, run_id, incarnation, after)
    return StreamingResponse(stream, media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})


@router.get(
    "/result",
    responses={202: {"description": "It has not ended yet.", "model": ResultView}, **ABSENT},
)
async def get_result(
    request: Request,
    response: Response,
    run_id: RunId,
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT, description="Seconds.")] = 0,
    life: Life = None,
) -> ResultView:
    """How a run ended, waited for if wanted."""
    back = backing.of(request)
    unseen = await _unseen(back, run_id, life)
    if unseen is not None and unseen.status.ended:
        return _ended(unseen)
    last = await _last(back, run_id, life, wait)
    if last is None or not outcomes.ended(last):
        status = RunStatus.RUNNING if last is None else last.status
        response.status_code = HTTPStatus.ACCEPTED
        return ResultView(status=status.value)
    try:
        return ResultView(status=last.status.value, output=outcomes.output(last))
    except RunFailed:
        return ResultView(status=last.status.value, error=_error(last))


async def events(
    back: Backing, follower: Follower, run_id: str, incarnation: str | None, after: int
) -> AsyncGenerator[WorkflowEvent]:
    """Every event of a run with a version above ``after``, in order; it ends with the run, or with the gateway.

    ``incarnation`` None: the latest life of that id. A run that nobody knows yet is waited for.
    """
    while not back.stopping.is_set():
        page = await back.questions.history(run_id, incarnation, after=after, limit=PAGE)
        for each in () if page is None else page.items:
            event = decoded(back, each.record)
            incarnation, after = event.incarnation, event.version
            yield event
            if outcomes.ended(event):
                return
        if page is not None and page.next_after is not None:
            continue
        async with aclosing(_fresh(follower, incarnation, after)) as fresh:
            async for event in fresh:
                incarnation, after = event.incarnation, event.version
                yield event
                if outcomes.ended(event):
                    return


@asynccontextmanager
async def _listening(back: Backing, run_id: str) -> AsyncGenerator[Follower]:
    """A place among those that follow, and whatever the topic says of the run from now on."""
    if back.streams >= back.settings.gateway.streams:
        raise Unavailable(
            f"{back.streams} streams and waits are open, no more are allowed: come again, or raise "
            "ACTIONBUS_GATEWAY_STREAMS"
        )
    back.streams += 1
    metrics.GATEWAY_STREAMS.inc()
    try:
        async with back.kafka.client.following(run_id) as follower:
            yield follower
    finally:
        back.streams -= 1
        metrics.GATEWAY_STREAMS.dec()


async def _fresh(follower: Follower, incarnation: str | None, after: int) -> AsyncGenerator[WorkflowEvent]:
    """What the topic brings without a gap; ends when there is one, or nothing came: then the database is asked."""
    while True:
        try:
            event = await asyncio.wait_for(follower.events.get(), LOOK_SECONDS)
        except TimeoutError:
            return
        if not isinstance(event, WorkflowEvent):
            raise event
        if event.version == 0 or (incarnation is not None and event.incarnation != incarnation):
            continue
        if event.version <= after:
            continue
        if event.version > after + 1:
            return
        incarnation, after = event.incarnation, event.version
        yield event


async def _written(
    back: Backing, follower: Follower, run_id: str, incarnation: str | None, after: int
) -> AsyncGenerator[str]:
    """Events as a stream that a browser understands.

    Its last word is ``end`` where the run has ended. Without that word whoever reads it comes again behind the last
    event that it had: the gateway ends, or what it stands on has gone.
    """
    yield f"retry: {AGAIN_MS}\n\n"
    async with aclosing(events(back, follower, run_id, incarnation, after)) as found:
        coming = asyncio.ensure_future(anext(found))
        stopping = asyncio.ensure_future(back.stopping.wait())
        try:
            while not stopping.done():
                await asyncio.wait([coming, stopping], timeout=COMMENT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    yield ": still here\n\n"
                    continue
                try:
                    event = coming.result()
                except StopAsyncIteration:
                    if not back.stopping.is_set():
                        yield "event: end\ndata: {}\n\n"
                    return
                except ActionbusError as error:
                    _log.warning("a stream is cut, as it cannot go on here", run_id=run_id, reason=str(error))
                    return
                yield f"id: {event.incarnation}:{event.version}\nevent: transition\ndata: {_line(event)}\n\n"
                coming = asyncio.ensure_future(anext(found))
        finally:
            stopping.cancel()
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)


async def _last(back: Backing, run_id: str, incarnation: str | None, wait: float) -> WorkflowEvent | None:
    """The latest event of a run, that of its end if that comes in time; None when none was seen."""
    found = await back.questions.run(run_id, incarnation)
    before = 0 if found is None else found.run.version
    last: WorkflowEvent | None = None
    page = await back.questions.history(run_id, incarnation, after=max(0, before - 1), limit=1)
    if page is not None and page.items:
        last = decoded(back, page.items[0].record)
    if wait and (last is None or not outcomes.ended(last)):
        with suppress(TimeoutError):
            async with asyncio.timeout(wait), _listening(back, run_id) as follower:
                async with aclosing(events(back, follower, run_id, incarnation, before)) as coming:
                    async for event in coming:
                        last = event
    return last


async def _unseen(back: Backing, run_id: str, incarnation: str | None) -> WorkflowRun | None:
    """The state of a run that the visibility database does not know yet; raises RunMissing where nobody knows it."""
    if await back.questions.run(run_id, incarnation) is not None:
        return None
    found = await back.kafka.client.handle(run_id).state()
    if incarnation not in (None, found.incarnation):
        raise RunMissing(f"run {run_id} is now {found.incarnation}, and {incarnation} is not known any more")
    return found


def place(last_event_id: str | None) -> tuple[str | None, int]:
    """Incarnation and version of the event that was seen last; raises Malformed for anything that is no event's id."""
    if not last_event_id:
        return None, 0
    if _PLACE.fullmatch(last_event_id) is None:
        raise Malformed(f"Last-Event-ID is {last_event_id!r}: it is the id of an event, such as 2s:14")
    incarnation, _, version = last_event_id.partition(":")
    return incarnation, int(version)


def _ended(run: WorkflowRun) -> ResultView:
    error = None if run.error is None else views.plain(run.error.plain())
    return ResultView(status=run.status.value, output=views.opened(run.output), error=error)


def _line(event: WorkflowEvent) -> str:
    return views.event(event).model_dump_json()


def _error(event: WorkflowEvent) -> Any:
    last = next((each for each in reversed(event.entries) if each.kind is EntryKind.RUN_ENDED), None)
    return None if last is None else views.opened(last.data)
