"""The gateway as a service: the API on one port, until a signal asks it to end."""

import asyncio
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import structlog
import uvicorn

from actionbus.contracts.errors import Unavailable
from actionbus.gateway.app import application
from actionbus.gateway.backing import Backing
from actionbus.process.settings import Settings

DRAIN_SECONDS: Final = 10  # for requests that are under way when the gateway ends
KEEP_ALIVE_SECONDS: Final = 65  # longer than the proxies in front of it usually wait
BACKLOG: Final = 512

_log = structlog.get_logger(__name__)


class Gateway:
    """One gateway process, or the gateway's part of one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._backing = Backing(settings)
        self._socket: socket.socket | None = None
        self._listening = False
        self.port = settings.gateway.port

    def not_ready(self) -> list[str]:
        """Why requests are not answered now; nothing when they are."""
        return self._backing.not_ready() if self._listening else ["it is starting"]

    @property
    def address(self) -> str:
        """Where it answers, once it has its port."""
        return f"http://{self._settings.gateway.host}:{self.port}"

    def bind(self) -> None:
        """Take the port; raises Unavailable when somebody else has it."""
        self._socket = _socket(self._settings.gateway.host, self.port)
        self.port = int(self._socket.getsockname()[1])

    async def serve(self, stop: asyncio.Event) -> None:
        """Answer until ``stop`` is set, then finish what is under way; raises what ``bind`` does."""
        if self._socket is None:
            self.bind()
        with self._socket as listening:  # pyright: ignore[reportOptionalContextManager] - bound above
            app = application(body_bytes=self._settings.gateway.body_bytes)
            app.state.backing = self._backing
            server = _Server(
                uvicorn.Config(
                    app,
                    lifespan="off",
                    log_config=None,
                    access_log=False,
                    server_header=False,
                    backlog=BACKLOG,
                    timeout_keep_alive=KEEP_ALIVE_SECONDS,
                    timeout_graceful_shutdown=DRAIN_SECONDS,
                )
            )
            async with self._backing:
                serving = asyncio.create_task(server.serve(sockets=[listening]))
                ending = asyncio.create_task(stop.wait())
                self._listening = True
                _log.info("answers", address=self.address)
                watching = self._backing.watching
                await asyncio.wait([serving, ending, watching], return_when=asyncio.FIRST_COMPLETED)
                self._listening = False
                self._backing.stopping.set()
                server.should_exit = True
                await serving
                ending.cancel()
                if watching.done():
                    watching.result()  # nobody looks after the brokers any more: whoever runs this starts it anew


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Signals belong to the process, which tells the gateway when to end."""
        yield


def _socket(host: str, port: int) -> socket.socket:
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
    made = socket.socket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(BACKLOG)  # whoever comes before it serves waits, and is not turned away
    except OSError as error:
        made.close()
        raise Unavailable(f"cannot listen on {host}:{port}, set ACTIONBUS_GATEWAY_PORT: {error}") from error
    return made
