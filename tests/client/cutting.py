"""A way to a gateway that fails as asked: it answers in its place, or cuts what it carries."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Self

BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True)
class Fate:
    """What becomes of one request to a path with this end; one that has none is carried whole."""

    path: str
    refused: bool = False
    """It is answered with 503 and never arrives."""
    blocks: int | None = None
    """After so many blocks of the answer the connection is cut in the middle of the next; 0: nothing comes back."""


@dataclass(frozen=True)
class Seen:
    """A request as it came."""

    path: str
    headers: dict[str, str]


@dataclass
class Cutting:
    """A server on the loopback that carries each request to the gateway, on a connection of its own."""

    port: int
    fates: deque[Fate] = field(default_factory=deque[Fate])
    seen: list[Seen] = field(default_factory=list[Seen])
    _tasks: set[asyncio.Task[None]] = field(default_factory=set[asyncio.Task[None]])
    """What carries now: the loop alone would let go of it in its middle."""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def at(self, path: str) -> list[Seen]:
        """What came to a path with this end."""
        return [each for each in self.seen if each.path.endswith(path)]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in head[1:-2])}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            request = Seen(head[0].split()[1].partition("?")[0], headers)
            self.seen.append(request)
            fate = self._fate(request.path)
            if fate.refused:
                writer.write(BUSY)
                await writer.drain()
            else:
                kept = [each for each in head[:-2] if not each.lower().startswith("connection:")]
                await self._carry(["\r\n".join([*kept, "Connection: close", "", ""]).encode(), body], fate, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client went away, or the test is over, and Python 3.11 would print its cancelled tasks
        finally:
            writer.close()

    def _fate(self, path: str) -> Fate:
        if self.fates and path.endswith(self.fates[0].path):
            return self.fates.popleft()
        return Fate(path)

    async def _carry(self, request: list[bytes], fate: Fate, writer: asyncio.StreamWriter) -> None:
        reader, onward = await asyncio.open_connection("127.0.0.1", self.port)
        onward.writelines(request)
        try:
            if fate.blocks is None:
                while part := await reader.read(65_536):
                    writer.write(part)
                    await writer.drain()
            elif fate.blocks == 0:
                await reader.read()  # it was carried out to its end, and nobody hears of it
            else:
                for _ in range(fate.blocks):
                    writer.write(await reader.readuntil(b"\n\n"))
                writer.write(await reader.readexactly(40))
                await writer.drain()
        finally:
            onward.close()
