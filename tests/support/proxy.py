"""A TCP proxy between a Kafka client and one broker that understands where a request begins and which kind it is.

It can delay, drop, hold or repeat requests of one kind, drop their replies, or cut connections. Clients reach the
broker only through it when the broker advertises the proxy's address: `advertise` rewrites that in metadata replies.
"""

import asyncio
import struct
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

PRODUCE = 0
FETCH = 1
METADATA = 3
FIND_COORDINATOR = 10
HEARTBEAT = 12
INIT_PRODUCER_ID = 22
ADD_PARTITIONS_TO_TXN = 24
END_TXN = 26

SECONDS = 240.0  # the longest that a test waits
_LENGTH = struct.Struct(">i")
_KIND = struct.Struct(">h")


@dataclass
class Rule:
    """What happens to the requests of one kind."""

    pass_request: bool = True
    pass_reply: bool = True
    cut_after_request: bool = False  # hand the request on, then cut the connection before its reply
    copies: int = 1
    delay_seconds: float = 0.0
    gate: asyncio.Event | None = None  # requests wait here until it is set


@dataclass
class Proxy:
    """One proxy in front of one broker. `seen` counts requests as clients sent them, by kind; `answered` the replies."""

    target: str
    rules: dict[int, Rule] = field(default_factory=dict)
    seen: Counter[int] = field(default_factory=Counter)
    answered: Counter[int] = field(default_factory=Counter)
    held: dict[int, deque[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def port(self) -> int:
        """Where clients connect."""
        return self._server.sockets[0].getsockname()[1]

    @property
    def address(self) -> str:
        """Host and port for clients."""
        return f"127.0.0.1:{self.port}"

    async def has_seen(self, kind: int, *, times: int = 1) -> None:
        """Return once clients have sent so many requests of a kind."""
        async with asyncio.timeout(SECONDS), self._changed:
            await self._changed.wait_for(lambda: self.seen[kind] >= times)

    async def has_answered(self, kind: int) -> None:
        """Return once the broker has answered a request of a kind, whether its client hears of it or not."""
        async with asyncio.timeout(SECONDS), self._changed:
            await self._changed.wait_for(lambda: self.answered[kind] > 0)

    def cut(self) -> None:
        """Close every connection as a network that fails does."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.target.rpartition(":")
        try:
            there_reader, there_writer = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, there_writer}
        kinds: deque[tuple[int, bool]] = deque()
        tasks = [
            asyncio.create_task(self._requests(reader, there_writer, writer, kinds)),
            asyncio.create_task(self._replies(there_reader, writer, kinds)),
        ]
        self._tasks.update(tasks)
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for each in (writer, there_writer):
            self._writers.discard(each)
            each.transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.difference_update(tasks)

    async def _requests(self, reader, there_writer, writer, kinds) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                frame = await _frame(reader)
                (kind,) = _KIND.unpack_from(frame, 4)
                self.seen[kind] += 1
                async with self._changed:
                    self._changed.notify_all()
                rule = self.rules.get(kind, Rule())
                if rule.gate is not None:
                    await rule.gate.wait()
                if rule.delay_seconds:
                    await asyncio.sleep(rule.delay_seconds)
                if not rule.pass_request:
                    self.held.setdefault(kind, deque()).append(frame)
                    continue
                for copy in range(rule.copies):
                    kinds.append((kind, rule.pass_reply and copy == 0))
                    there_writer.write(frame)
                await there_writer.drain()
                if rule.cut_after_request:
                    # Half-close, so that the broker still reads the request to its end.
                    there_writer.write_eof()
                    writer.transport.abort()

    async def _replies(self, there_reader, writer, kinds) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                frame = await _frame(there_reader)
                kind, wanted = kinds.popleft()
                self.answered[kind] += 1
                async with self._changed:
                    self._changed.notify_all()
                if kind == METADATA:
                    frame = self._advertise(frame)
                if wanted:
                    writer.write(frame)
                    await writer.drain()

    def _advertise(self, frame: bytes) -> bytes:
        """Put the proxy's port where the broker names its own; the frame keeps its length."""
        host, _, port = self.target.rpartition(":")
        name = host.encode()
        here = _KIND.pack(len(name)) + name
        return frame.replace(here + _LENGTH.pack(int(port)), here + _LENGTH.pack(self.port))

    async def replay(self, kind: int) -> bytes:
        """Send the oldest held request of a kind on a connection of its own, as a late packet; gives the reply."""
        host, _, port = self.target.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(self.held[kind].popleft())
        reply = await _frame(reader)
        writer.close()
        return reply


async def _frame(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(4)
    return head + await reader.readexactly(_LENGTH.unpack(head)[0])
