"""What every request passes on its way in and out: the limit of its body, the clock, the log."""

import time
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from actionbus.gateway import problems
from actionbus.process import metrics

PREFIX: Final = "/v1"
UNKNOWN_ROUTE: Final = "unknown"  # one label for all paths that are none: a label each would let anybody fill memory
HEARD_OUT: Final = 16  # times the limit: so much of a body that is refused is read all the same
_log = structlog.get_logger(__name__)


class Door:
    """Refuses bodies that are too large while they are read, measures, and writes one line for each request."""

    def __init__(self, app: ASGIApp, *, body_bytes: int) -> None:
        self._app = app
        self._body_bytes = body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 0

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._admit(scope, receive, sent)
        finally:
            _told(scope, status, time.perf_counter() - began)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        length = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
        if length.isdigit() and int(length) > self._body_bytes:
            if all(name != b"expect" for name, _ in scope["headers"]):  # who asks first sends nothing after this answer
                await self._drain(receive)
            await self._too_large(scope, receive, send)
            return
        read, over, more = 0, False, True

        async def received() -> Message:
            nonlocal read, over, more
            message = await receive()
            if message["type"] == "http.request":
                read += len(message.get("body", b""))
                over = over or read > self._body_bytes
                more = bool(message.get("more_body"))
                if over:
                    raise _TooLarge
            return message

        async def sent(message: Message) -> None:
            # Whoever reads the body may take the exception for a mistake of the caller's: its answer is not ours.
            if not over:
                await send(message)

        with suppress(_TooLarge):
            await self._app(scope, received, sent)
        if over:
            if more:  # behind the end of a request comes nothing but its disconnect, which waits for our answer
                await self._drain(receive)
            await self._too_large(scope, receive, send)

    async def _drain(self, receive: Receive) -> None:
        """Read on, to a bound: an answer to somebody who is still sending is lost with the connection."""
        left = HEARD_OUT * self._body_bytes
        while left > 0:
            message = await receive()
            if message["type"] != "http.request" or not message.get("more_body"):
                return
            left -= len(message.get("body", b""))

    async def _too_large(self, scope: Scope, receive: Receive, send: Send) -> None:
        detail = f"the body has more than {self._body_bytes} bytes: store what is in it elsewhere and pass its address"
        await problems.response(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail, headers={"Connection": "close"})(
            scope, receive, send
        )


class _TooLarge(Exception):
    """More of a body came than is allowed."""


def _told(scope: Scope, status: int, seconds: float) -> None:
    route: Any = scope.get("route")
    path = getattr(route, "path", UNKNOWN_ROUTE)
    # What a router was included under is not part of its routes' own paths.
    if path != UNKNOWN_ROUTE and scope["path"].startswith(f"{PREFIX}/") and not path.startswith(PREFIX):
        path = f"{PREFIX}{path}"
    metrics.GATEWAY_REQUEST_DURATION.labels(path, scope["method"], str(status or "cut")).observe(seconds)
    _log.info(
        "request",
        method=scope["method"],
        path=scope["path"],
        route=path,
        status=status,
        milliseconds=round(seconds * 1000, 1),
    )
