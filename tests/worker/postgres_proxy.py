"""A proxy in front of PostgreSQL that knows a COMMIT when it sees one, and can lose it or its reply."""

import asyncio
import struct
from contextlib import suppress
from enum import StrEnum
from typing import Self

from sqlalchemy import make_url

_LENGTH = struct.Struct(">i")
_READY = b"Z"
_QUERY = b"Q"


class OnCommit(StrEnum):
    """What happens to the next COMMIT."""

    HAND_ON = "hand on"
    LOSE_REPLY = "lose_reply"
    """The server commits; the client's connection is cut before it hears of it."""
    LOSE_REQUEST = "lose_request"
    """Both connections are cut before the server hears of it."""
    LATE = "late"
    """The client's connection is cut; the server gets the COMMIT when the gate is opened."""


class PostgresProxy:
    """One proxy. A COMMIT that was tampered with sets ``on_commit`` back, so that the next one passes."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._socket = f"{self._url.query['host']}/.s.PGSQL.5432"
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.on_commit = OnCommit.HAND_ON
        self.commits = 0
        self.gate = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self.open(0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def open(self, port: int) -> None:
        """Accept connections."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port)

    def close(self) -> None:
        """Cut everything and accept nothing more, as a server that is down."""
        self._server.close()
        for task in self._tasks:
            task.cancel()

    @property
    def url(self) -> str:
        """The database through the proxy."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{self._url.database}?ssl=disable"

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        there, to_there = await asyncio.open_unix_connection(self._socket)
        back = asyncio.create_task(self._back(there, writer))
        try:
            # The other side has gone, or the proxy closes, and Python 3.11 would print its cancelled tasks.
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                head = await reader.readexactly(4)
                to_there.write(head + await reader.readexactly(_LENGTH.unpack(head)[0] - 4))
                while True:
                    kind = await reader.readexactly(1)
                    head = await reader.readexactly(4)
                    body = await reader.readexactly(_LENGTH.unpack(head)[0] - 4)
                    if (
                        kind == _QUERY
                        and body.upper().startswith(b"COMMIT")
                        and await self._commit(kind + head + body, back, writer, there, to_there)
                    ):
                        return
                    to_there.write(kind + head + body)
        finally:
            back.cancel()
            writer.transport.abort()
            to_there.transport.abort()

    async def _commit(self, message: bytes, back: asyncio.Task, writer, there, to_there) -> bool:
        """Do what is asked with a COMMIT; True when the connection has ended with it."""
        self.commits += 1
        asked, self.on_commit = self.on_commit, OnCommit.HAND_ON
        if asked is OnCommit.HAND_ON:
            return False
        back.cancel()
        await asyncio.gather(back, return_exceptions=True)
        if asked is OnCommit.LOSE_REQUEST:
            return True
        if asked is OnCommit.LATE:
            writer.transport.abort()
            await self.gate.wait()
        to_there.write(message)
        while await there.readexactly(1) != _READY:
            await there.readexactly(_LENGTH.unpack(await there.readexactly(4))[0] - 4)
        return True

    async def _back(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await there.read(65_536):
                writer.write(data)
        writer.transport.abort()
