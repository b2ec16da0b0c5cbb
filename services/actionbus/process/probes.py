"""What a process tells its platform on one port: ``/metrics``, ``/live`` and ``/ready``.

Threads answer, so that a stuck event loop is reported instead of being one more thing that does not answer.
"""

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from http import HTTPStatus
from socketserver import TCPServer, ThreadingMixIn
from threading import Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

REQUEST_SECONDS: Final = 5  # a client that sends or reads slower than this is cut off
BEAT_SECONDS: Final = 0.5
POLL_SECONDS: Final = 0.1  # how long leaving may take
JSON: Final = [("Content-Type", "application/json; charset=utf-8"), ("Cache-Control", "no-store")]

Reasons = Callable[[], Sequence[str]]
"""Why the service cannot take work now; nothing when it is ready. Called from a thread: it reads and never waits."""


class Heartbeat:
    """A task that shows, by its age, for how long the event loop has been stuck."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()
        self._task: asyncio.Task[None] | None = None

    def beat(self) -> None:
        """The loop turns."""
        self._last = self._clock()

    @property
    def age_seconds(self) -> float:
        """Seconds since the loop was last seen turning."""
        return self._clock() - self._last

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._beat_on(), name="heartbeat")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _beat_on(self) -> None:
        while True:
            self.beat()
            await asyncio.sleep(BEAT_SECONDS)


class Probes:
    """The HTTP server of one process; listening when it is entered. Port 0 takes a free one, which ``port`` then is."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        registry: CollectorRegistry,
        heartbeat: Heartbeat,
        stall_seconds: float,
        not_ready: Reasons,
    ) -> None:
        self._heartbeat = heartbeat
        self._stall_seconds = stall_seconds
        self._not_ready = not_ready
        self._metrics = make_wsgi_app(registry)
        self._server = _server(host, port)
        self._server.set_app(self._answer)
        self.port = self._server.server_port
        self._thread = Thread(target=self._server.serve_forever, args=[POLL_SECONDS], name="probes", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _reply(start, HTTPStatus.METHOD_NOT_ALLOWED, {"error": "only GET is answered here"})
        match environ["PATH_INFO"]:
            case "/metrics":
                return self._metrics(environ, start)
            case "/live":
                return self._live(start)
            case "/ready":
                return self._ready(start)
            case path:
                return _reply(start, HTTPStatus.NOT_FOUND, {"error": f"{path} is not one of /metrics, /live, /ready"})

    def _live(self, start: "StartResponse") -> Iterable[bytes]:
        age = self._heartbeat.age_seconds
        live = age < self._stall_seconds
        status = HTTPStatus.OK if live else HTTPStatus.SERVICE_UNAVAILABLE
        return _reply(
            start, status, {"live": live, "loop_age_seconds": round(age, 3), "limit_seconds": self._stall_seconds}
        )

    def _ready(self, start: "StartResponse") -> Iterable[bytes]:
        try:
            reasons = list(self._not_ready())
        except Exception as error:  # noqa: BLE001 - whatever it is, the platform has to hear "not ready", and why
            reasons = [f"the check itself failed: {type(error).__name__}: {error}"]
        status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
        return _reply(start, status, {"ready": not reasons, "reasons": reasons})


def _reply(start: "StartResponse", status: HTTPStatus, body: dict[str, Any]) -> Iterable[bytes]:
    data = json.dumps(body).encode() + b"\n"
    start(f"{status.value} {status.phrase}", [*JSON, ("Content-Length", str(len(data)))])
    return [data]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 64

    def server_bind(self) -> None:
        # HTTPServer looks up the host's full name here, which waits for DNS where there is none.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_SECONDS

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is inherited
        """Nothing: a line for every scrape would bury the log."""


def _server(host: str, port: int) -> _Server:
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
    return type("_BoundServer", (_Server,), {"address_family": family})((host, port), _Handler)
