"""Dead letters over HTTP: looking at them, sending one once more, and setting one aside."""

import base64
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import Field

from actionbus.client.letters import Letter, Letters, Settling, letters
from actionbus.contracts import dead_letters, identifiers
from actionbus.contracts.errors import Refused
from actionbus.gateway import backing, views
from actionbus.gateway.answers import View
from actionbus.gateway.backing import Backing
from actionbus.gateway.bodies import Body
from actionbus.gateway.grammar import Cursor, TopicName, said
from actionbus.gateway.intent import Intended
from actionbus.gateway.problems import Malformed, NotFound, documented

router = APIRouter(prefix="/dead-letters", tags=["dead letters"])
Limit = Annotated[int, Query(ge=1, le=200)]
MOST_PARTITIONS: Final = 2**31 - 1
MOST_OFFSETS: Final = 2**63 - 1
SETTLING = documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)


class DeadLetterView(View):
    """A record that was set aside, as it was found, and why."""

    topic: str
    partition: int
    offset: int
    at: datetime
    key: str | None
    original: dict[str, str] = Field(description="Where it was found: topic, partition, offset, timestamp, group.")
    exception: dict[str, str] = Field(description="Why it was set aside: type, message.")
    headers: dict[str, str]
    size: int
    value_base64: str | None
    settled: str | None = Field(description="What became of it, in words; null: nobody dealt with it yet.")


class DeadLetterPage(View):
    """Some dead letters, and where the next ones begin."""

    items: list[DeadLetterView]
    next_cursor: str | None = None


class Settled(View):
    """It is done, or was done by the same request before."""

    request_id: str
    verdict: Literal["replayed", "dropped"]


@router.get("", responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY))
async def list_dead_letters(
    request: Request,
    topic: TopicName | None = None,
    limit: Limit = 50,
    cursor: Cursor | None = None,
    settled: Annotated[bool, Query(description="Also those that were replayed or dropped.")] = False,  # noqa: FBT002 - from the query
) -> DeadLetterPage:
    """Records that could not be taken in, as they were found, of one topic of dead letters or of all."""
    back = backing.of(request)
    places = await _places(back, topic)
    begin = (places[0], 0) if cursor is None else _cursor(cursor, places)
    found: list[DeadLetterView] = []
    for place in places[places.index(begin[0]) :]:
        start = max(await back.kafka.events.earliest(*place), begin[1] if place == begin[0] else 0)
        async for each in letters(back.kafka.events, *place, start=start):
            if each.settlement is not None and not settled:
                continue
            if len(found) == limit:
                record = each.record
                return DeadLetterPage(items=found, next_cursor=f"{record.topic}:{record.partition}:{record.offset}")
            found.append(_letter(each))
    return DeadLetterPage(items=found)


def _place(
    topic: Annotated[str, Path(description="The topic of dead letters.", json_schema_extra=said(identifiers.TOPIC))],
    partition: Annotated[int, Path(ge=0, le=MOST_PARTITIONS, description="Its partition there.")],
    offset: Annotated[int, Path(ge=0, le=MOST_OFFSETS, description="Its offset in that partition.")],
) -> tuple[str, int, int]:
    """Which letter is meant."""
    return topic, partition, offset


@router.post("/{topic}/{partition}/{offset}/replay", responses=SETTLING)
async def replay_dead_letter(
    request: Request, place: Annotated[tuple[str, int, int], Depends(_place)], body: Body, intended: Intended
) -> Settled:
    """Send the record once more to where it was found, with its bytes and headers; never twice."""
    async with _settling(request) as found:
        await found.replay(*place, **_asked(body, intended))
    return Settled(request_id=intended.request_id, verdict="replayed")


@router.post("/{topic}/{partition}/{offset}/drop", responses=SETTLING)
async def drop_dead_letter(
    request: Request, place: Annotated[tuple[str, int, int], Depends(_place)], body: Body, intended: Intended
) -> Settled:
    """Set the letter aside for good: it is listed no more, and never sent again."""
    async with _settling(request) as found:
        await found.drop(*place, **_asked(body, intended))
    return Settled(request_id=intended.request_id, verdict="dropped")


@asynccontextmanager
async def _settling(request: Request) -> AsyncGenerator[Letters]:
    """The letters of the installation; a letter that is not there is 404 for whoever speaks HTTP."""
    settings, codec = backing.of(request).settings, backing.of(request).codec
    connection = settings.kafka.connection("actionbus-gateway")
    try:
        async with Letters(connection, settings.prefix, codec=codec, limits=settings.limits) as found:
            yield found
    except Refused as refused:
        raise NotFound(str(refused)) from refused


def _asked(body: Body, intended: Intended) -> Settling:
    return {"by": body.requested_by, "reason": body.reason, "request_id": intended.request_id}


async def _places(back: Backing, topic: str | None) -> list[tuple[str, int]]:
    names = back.kafka.topics
    known = [names.dead_letters, *map(names.action_dead_letters, back.kafka.definitions.actions())]
    if topic is not None and topic not in known:
        raise NotFound(f"{topic} is no topic of dead letters; there are {', '.join(known)}")
    wanted = known if topic is None else [topic]
    return [(name, number) for name in wanted for number in range(await back.kafka.partitions(name))]


def _cursor(text: str, places: list[tuple[str, int]]) -> tuple[tuple[str, int], int]:
    topic, _, rest = text.partition(":")
    partition, _, offset = rest.partition(":")
    if not partition.isdecimal() or not offset.isdecimal() or (topic, int(partition)) not in places:
        raise Malformed("the cursor is none of this list: take next_cursor as it is")
    return (topic, int(partition)), int(offset)


def _letter(letter: Letter) -> DeadLetterView:
    record = letter.record
    about, own = dead_letters.told(record)
    return DeadLetterView(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        at=views.when(record.timestamp_ms),
        key=None if record.key is None else record.key.decode("utf-8", "replace"),
        original=_group(about, "original-"),
        exception=_group(about, "exception-"),
        headers=own,
        size=len(record.value or b""),
        value_base64=None if record.value is None else base64.b64encode(record.value).decode(),
        settled=letter.settlement and letter.settlement.words,
    )


def _group(headers: dict[str, str], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): value for name, value in headers.items() if name.startswith(prefix)}
