"""The trace of an HTTP request, for any ASGI application: what is asked of runs while it is served belongs to it.

An application is wrapped once, ``app.add_middleware(HttpSpans)`` or ``HttpSpans(app)``. Without tracing the trace that
the caller sent is passed on as it came, and no span is made.
"""

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from actionbus.contracts import traces
from actionbus.process import tracing

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class HttpSpans:
    """An application inside the spans of its requests."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        found = {name: value.decode("latin-1") for name, value in scope["headers"] if name in _NAMES}
        trace = traces.read(found.get(b"traceparent"), found.get(b"tracestate"))
        token = tracing.INCOMING.set(trace)
        try:
            if tracing.active() is tracing.SILENT or "opentelemetry.trace" not in sys.modules:
                await self._app(scope, receive, send)
                return
            from actionbus.process import spans  # the extra is here

            with spans.serving(scope["method"], scope["path"], trace) as span:

                async def answered(message: Message) -> None:
                    if message["type"] == "http.response.start":
                        spans.answered(span, scope, message["status"])
                    await send(message)

                await self._app(scope, receive, answered)
        finally:
            tracing.INCOMING.reset(token)


_NAMES = (b"traceparent", b"tracestate")
