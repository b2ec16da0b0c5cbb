"""The limit of bodies, without a server: what is received and sent is written down here."""

import asyncio
from http import HTTPStatus

import pytest

from actionbus.gateway.door import HEARD_OUT, Door

LIMIT = 10
SCOPE = {"type": "http", "method": "POST", "path": "/v1/runs", "headers": []}


async def _reads_all(_scope, receive, send) -> None:
    """An application that wants its whole body."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def _asked(*parts: bytes, app=_reads_all, ends: bool = True, headers=()) -> tuple[int, int]:
    """The status of the answer to a body that comes in these parts, and how many parts were left unread."""
    coming = [
        {"type": "http.request", "body": part, "more_body": not ends or number < len(parts)}
        for number, part in enumerate(parts, start=1)
    ]
    statuses: list[int] = []

    async def receive():
        if not coming:
            await asyncio.Event().wait()  # as a client that waits for its answer
        return coming.pop(0)

    async def send(message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async with asyncio.timeout(60):
        await Door(app, body_bytes=LIMIT)(SCOPE | {"headers": [*headers]}, receive, send)
    assert len(statuses) == 1
    return statuses[0], len(coming)


@pytest.mark.parametrize("parts", [(b"x" * LIMIT,), (b"x", b"x" * (LIMIT - 1)), (b"",)])
async def test_what_is_within_the_limit_passes(parts) -> None:
    """A body of exactly the limit is read as it comes."""
    assert await _asked(*parts) == (HTTPStatus.OK, 0)


@pytest.mark.parametrize("parts", [(b"x" * (LIMIT + 1),), (b"x" * LIMIT, b"x"), (b"x", b"x" * LIMIT)])
async def test_a_limit_that_is_crossed_at_the_end_is_answered_at_once(parts) -> None:
    """Where the part that is too much is the last one, nobody is waited for."""
    assert await _asked(*parts) == (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, 0)


async def test_who_still_sends_is_heard_out() -> None:
    """What comes behind the limit is read on, so that the answer is not lost with the connection."""
    assert await _asked(b"x" * LIMIT, b"x", b"x", b"x") == (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, 0)


async def test_who_never_ends_is_answered_all_the_same() -> None:
    """Some times the limit is read at most."""
    status, unread = await _asked(*[b"x" * LIMIT] * 2 * HEARD_OUT, ends=False)
    assert status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert unread > 0


async def test_who_says_how_much_will_come_is_heard_out() -> None:
    """A body whose length alone is too much is read on as well: it is under way when the answer is given."""
    declared = ((b"content-length", b"%d" % (10 * LIMIT)),)
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert await _asked(*[b"x" * LIMIT] * 10, headers=declared) == (status, 0)


async def test_who_asks_first_sends_nothing() -> None:
    """With ``Expect: 100-continue`` the answer comes before the body, of which nothing is asked for."""
    declared = ((b"content-length", b"%d" % (10 * LIMIT)), (b"expect", b"100-continue"))
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert await _asked(*[b"x" * LIMIT] * 10, headers=declared) == (status, 10)


async def test_a_mistake_that_is_ours_is_nobody_elses() -> None:
    """An application that answers our limit with words of its own is not heard."""

    async def answers_errors(scope, receive, send) -> None:
        try:
            await _reads_all(scope, receive, send)
        except Exception:  # noqa: BLE001 - as frameworks do around the reading of a body
            await send({"type": "http.response.start", "status": 400, "headers": []})

    assert await _asked(b"x" * LIMIT * 2, app=answers_errors) == (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, 0)
