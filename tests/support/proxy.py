"""A TCP proxy between a Kafka client and one broker that understands where a request begins and which kind it is.

It can delay, drop, hold or repeat requests of one kind, drop their replies, or cut connections; and it can be the
weather for all of them: a way that is closed, slow or torn. Clients reach the broker only through it, because it puts
its own port, and those of the proxies of the other brokers, into every reply that names brokers.
"""

import asyncio
import struct
from collections import Counter, deque
from collections.abc import Callable
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
NAME_BROKERS = (METADATA, FIND_COORDINATOR)
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
    when: Callable[[bytes], bool] = lambda _: True  # of a request's bytes: the others of its kind pass
    keep: bool = False  # hold a copy of what passes, so that it can be replayed
    met: asyncio.Event = field(default_factory=asyncio.Event)  # set once a request has met this rule


def _set() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass
class Weather:
    """What the way does to every frame, whatever it carries. A frame held back arrives late, as a packet sent again."""

    requests: asyncio.Event = field(default_factory=_set)
    """Whether requests pass."""
    replies: asyncio.Event = field(default_factory=_set)
    """Whether replies pass."""
    swift: asyncio.Event = field(default_factory=_set)
    """While it is not set, one byte passes in a second."""
    latency: Callable[[], float] | None = None
    """Seconds by which the next frame comes later."""
    tear: Callable[[int], int] | None = None
    """After how many bytes of the next frame, given its length, both ends are reset; that happens once."""
    copies: int = 1
    """How often a reply comes."""

    async def carry(self, writer: asyncio.StreamWriter, frame: bytes, way: asyncio.Event) -> None:
        """Bring one frame to the other side; raises ConnectionResetError where it is torn."""
        await way.wait()
        if self.latency is not None:
            await asyncio.sleep(self.latency())
        if self.tear is not None:
            passed, self.tear = self.tear(len(frame)), None
            writer.write(frame[:passed])
            await writer.drain()
            raise ConnectionResetError
        for at in range(len(frame)):
            if self.swift.is_set():
                writer.write(frame[at:])
                break
            writer.write(frame[at : at + 1])
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self.swift.wait()
        await writer.drain()


@dataclass
class Proxy:
    """One proxy in front of one broker. `seen` counts requests as clients sent them, by kind; `answered` the replies."""

    target: str
    rules: dict[int, Rule] = field(default_factory=dict)
    seen: Counter[int] = field(default_factory=Counter)
    answered: Counter[int] = field(default_factory=Counter)
    held: dict[int, deque[bytes]] = field(default_factory=dict)
    weather: Weather = field(default_factory=Weather)
    neighbours: "list[Proxy]" = field(default_factory=list)
    """In front of the other brokers of the cluster."""

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
                if not rule.when(frame):
                    rule = Rule()
                rule.met.set()
                if rule.gate is not None:
                    await rule.gate.wait()
                if rule.delay_seconds:
                    await asyncio.sleep(rule.delay_seconds)
                if rule.keep or not rule.pass_request:
                    self.held.setdefault(kind, deque()).append(frame)
                if not rule.pass_request:
                    continue
                for copy in range(rule.copies):
                    kinds.append((kind, rule.pass_reply and copy == 0))
                    await self.weather.carry(there_writer, frame, self.weather.requests)
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
                if kind in NAME_BROKERS:
                    frame = self._advertise(frame)
                for _ in range(self.weather.copies if wanted else 0):
                    await self.weather.carry(writer, frame, self.weather.replies)

    def _advertise(self, frame: bytes) -> bytes:
        """Put the proxies' ports where the brokers' own are named; the frame keeps its length."""
        for each in (self, *self.neighbours):
            host, _, port = each.target.rpartition(":")
            name = host.encode()
            here = _KIND.pack(len(name)) + name
            frame = frame.replace(here + _LENGTH.pack(int(port)), here + _LENGTH.pack(each.port))
        return frame

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
