"""A gateway as its users run it, beside an orchestrator, a worker and a projector, and requests to it."""

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from integration.installation import Installation, Service
from support.ports import free_ports

APP = Path(__file__).with_name("gateway_app.py")
SECONDS = 240.0  # no test depends on speed


class Served:
    """An installation with a gateway, and what it is asked."""

    def __init__(self, bootstrap: str, prefix: str, folder: Path, visibility_url: str, **extra: str) -> None:
        (self.port,) = free_ports(1)
        self.installation = Installation(
            bootstrap=bootstrap,
            prefix=prefix,
            folder=folder,
            app=APP,
            extra={
                "ACTIONBUS_VISIBILITY_URL": visibility_url,
                "ACTIONBUS_GATEWAY_PORT": str(self.port),
                "ACTIONBUS_GATEWAY_BODY_BYTES": "400000",
                "GATEWAY_TOKENS": str(folder),
                **extra,
            },
        )
        self.gateway: Service

    def start(self) -> None:
        """Start every process and return when all of them are ready."""
        made = self.installation
        made.prepare()
        made.orchestrator()
        made.worker()
        self._run("projector")
        self.gateway = self._run("gateway")
        made.wait_ready()

    def revive(self) -> None:
        """Start again what has ended because nothing answered it, as whatever runs services does."""
        for service in self.installation.services:
            if service.process is not None and service.process.poll():
                service.start()

    def another_gateway(self, **extra: str) -> "Beside":
        """One more gateway of this installation, which is started and not waited for."""
        (port,) = free_ports(1)
        return Beside(f"http://127.0.0.1:{port}", self._run("gateway", ACTIONBUS_GATEWAY_PORT=str(port), **extra))

    def _run(self, name: str, **extra: str) -> Service:
        made = self.installation
        service = Service(name, ["run", name], made.environment | extra, made.folder)
        service.start()
        made.services.append(service)
        return service

    @property
    def url(self) -> str:
        """Where the gateway answers."""
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> httpx.AsyncClient:
        """Asks the gateway."""
        return httpx.AsyncClient(base_url=self.url, timeout=SECONDS)


@dataclass(frozen=True)
class Beside:
    """A gateway beside the first."""

    url: str
    service: Service

    def client(self) -> httpx.AsyncClient:
        """Asks it."""
        return httpx.AsyncClient(base_url=self.url, timeout=SECONDS)


async def answered(client: httpx.AsyncClient, path: str, status: int) -> Any:
    """The answer at a path, once it has this status: what goes away is noticed after a moment."""
    async with asyncio.timeout(SECONDS):
        while True:
            with suppress(httpx.ConnectError):  # it has not begun to listen
                if (reply := await client.get(path)).status_code == status:
                    return reply.json()
            await asyncio.sleep(0.05)


async def until(client: httpx.AsyncClient, path: str, condition: Any) -> Any:
    """The answer at a path, once it is what is waited for: the visibility database is some moments behind."""
    async with asyncio.timeout(SECONDS):
        while not ((reply := await client.get(path)).status_code == 200 and condition(reply.json())):  # noqa: ASYNC110 - rows tell nobody
            await asyncio.sleep(0.05)
        return reply.json()


def refused(reply: httpx.Response, status: int) -> dict[str, Any]:
    """The problem that an answer is."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    problem = reply.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    return problem


@contextmanager
def serving(bootstrap: str, folder: Path) -> Iterator[Served]:
    """A gateway that answers, on a broker and SQLite, for the length of a with block."""
    made = Served(bootstrap, f"g-{uuid.uuid4().hex[:8]}", folder, f"sqlite:///{folder / 'visibility.db'}")
    try:
        made.start()
        yield made
    finally:
        made.installation.close()
