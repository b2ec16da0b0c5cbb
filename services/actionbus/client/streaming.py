"""The events of a run as they come over HTTP: server-sent events, taken up again after a cut where they were."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

import httpx

from actionbus.client.exchange import (
    CONNECT_SECONDS,
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    Exchange,
    problem,
    read,
)
from actionbus.contracts import payloads
from actionbus.contracts.errors import PayloadRefused, Unavailable

SILENCE_SECONDS: Final = 45.0  # three times what a gateway lets pass without a sign of life
END: Final = "end"


async def events(exchange: Exchange, path: str) -> AsyncGenerator[dict[str, Any]]:
    """Every event of a run, until it has ended; raises Unavailable once the gateway stayed away too long."""
    last: str | None = None
    loop = asyncio.get_running_loop()
    pause, heard = FIRST_PAUSE_SECONDS, loop.time()
    while True:
        try:
            async for kind, place, data in _stream(exchange, path, last):
                pause, heard = FIRST_PAUSE_SECONDS, loop.time()
                if kind == END:
                    return
                last = place or last
                yield opened(data)
            why = f"{exchange.url} ended the stream before the run had ended"
        except (httpx.TransportError, Unavailable) as error:
            why = f"{exchange.url} does not answer: {type(error).__name__}{f': {error}' if str(error) else ''}"
        if loop.time() + pause >= heard + exchange.seconds:
            raise Unavailable(f"{why} (for {exchange.seconds:g} s)")
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)


async def _stream(exchange: Exchange, path: str, last: str | None) -> AsyncGenerator[tuple[str, str | None, str]]:
    """Kind, id and data of what one connection brings."""
    headers = {"Accept": "text/event-stream"} | ({} if last is None else {"Last-Event-ID": last})
    timeout = httpx.Timeout(SILENCE_SECONDS, connect=CONNECT_SECONDS)
    async with exchange.http.stream("GET", exchange.url + path, headers=headers, timeout=timeout) as answer:
        if not answer.is_success:
            await answer.aread()
            if answer.is_server_error:
                raise Unavailable(f"{answer.status_code} {answer.reason_phrase}")
            read(answer, path)
            raise problem(answer.status_code, "it is moved elsewhere: give that address", path)
        async for each in parsed(answer.aiter_lines()):
            yield each


def opened(data: str) -> dict[str, Any]:
    """The event in the data of a stream; raises Unavailable where it is none, as who sends such is no gateway."""
    try:
        found = payloads.decode(data.encode("utf-8", "replace"))
    except PayloadRefused as refused:
        raise Unavailable(f"what came is no event of a gateway: {refused}") from refused
    if not isinstance(found, dict):
        raise Unavailable("what came is no event of a gateway: it is no object")
    return found


async def parsed(lines: AsyncIterator[str]) -> AsyncGenerator[tuple[str, str | None, str]]:
    """Events out of the lines of a stream, as the HTML standard describes them; comments are passed over."""
    kind, place, data = "message", None, list[str]()
    async for line in lines:
        if not line:
            if data:
                yield kind, place, "\n".join(data)
            kind, place, data = "message", None, []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                kind = value
            case "id":
                place = value
            case "data":
                data.append(value)
            case _:
                pass
