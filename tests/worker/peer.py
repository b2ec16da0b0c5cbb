"""A server over HTTP that knows idempotency keys, and its own log of what it did: an oracle outside of the system."""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Self


class Mood(Enum):
    """What the peer does with a request whose key it does not know."""

    ANSWER = auto()
    """The effect, its answer saved under the key, and the answer."""
    CUT_BEFORE = auto()
    """Nothing: the connection is cut."""
    CUT_AFTER = auto()
    """The effect, and the connection is cut before the answer."""
    HANG = auto()
    """The effect, and never an answer."""
    FAIL_SAVED = auto()
    """No effect, and 500 under this key for ever."""
    FAIL = auto()
    """No effect, 503, and nothing is kept."""
    REFUSE = auto()
    """No effect, 422, and nothing is kept."""
    WORK = auto()
    """The connection is cut while the effect takes its time: 409 until ``finish`` is called."""
    BUSY = auto()
    """No effect, 429, and nothing is kept."""
    DRIP = auto()
    """The effect, and the answer byte by byte."""
    CUT_WITHIN = auto()
    """The effect, and the connection is cut in the middle of the answer."""
    PRETEND = auto()
    """No effect, and an answer as if there were one, for ever: a lie."""
    FORGET = auto()
    """The effect, the connection is cut, and the key is forgotten at once: a promise broken."""


Temper = Callable[[], Mood]
_REFUSALS = {Mood.FAIL: 503, Mood.REFUSE: 422, Mood.BUSY: 429}
_WITHOUT_EFFECT = {Mood.FAIL_SAVED: (500, b"{}"), Mood.PRETEND: (201, b'{"charge":0}')}
_CUTS = {Mood.CUT_BEFORE, Mood.CUT_AFTER, Mood.FORGET, Mood.WORK}


class Peer:
    """Listens on a port of this machine while it is entered, or from ``open`` on."""

    def __init__(self) -> None:
        self.moods: deque[Mood] = deque()
        self.temper: Temper = lambda: Mood.ANSWER  # when no mood waits
        self.met: defaultdict[Mood, list[str]] = defaultdict(list)  # the keys that met each mood
        self.requests: list[tuple[str, bytes]] = []
        self.effects: Counter[str] = Counter()
        self.port = 0
        self._saved: dict[str, tuple[int, bytes]] = {}
        self._working: set[str] = set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def open(self) -> None:
        """Listen, on the port of before if there was one."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Nobody listens any more."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/charges"

    def is_at_work(self, *keys: str) -> bool:
        """Whether an effect under one of these keys takes its time."""
        return not self._working.isdisjoint(keys)

    def finish(self) -> None:
        """What is under way is done."""
        for key in self._working:
            self._do(key)
        self._working.clear()

    def forget(self, *keys: str) -> None:
        """These keys are forgotten, or every one, as peers do after a while; what was done stays done."""
        for key in keys or [*self._saved]:
            self._saved.pop(key, None)

    def _do(self, key: str) -> None:
        self.effects[key] += 1
        self._saved[key] = (201, b'{"charge":%d}' % self.effects.total())

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            while answer := await self._answer(reader):
                status, body, mood = answer
                head = (
                    f"HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
                )
                await _write(writer, head.encode() + body, mood)
                if mood is Mood.CUT_WITHIN:
                    return
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the other side has gone, or the peer closes, and Python 3.11 would print its cancelled tasks
        finally:
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[int, bytes, Mood] | None:
        """What is answered to the next request, and how; None: the connection is cut."""
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        key = headers.get("idempotency-key", "")
        self.requests.append((key, body))
        if key in self._saved:
            return *self._saved[key], Mood.ANSWER
        if key in self._working:
            return 409, b'{"error":"in progress"}', Mood.ANSWER
        mood = self.moods.popleft() if self.moods else self.temper()
        self.met[mood].append(key)
        answer = await self._by_mood(key, mood)
        return answer and (*answer, mood)

    async def _by_mood(self, key: str, mood: Mood) -> tuple[int, bytes] | None:
        if mood in _REFUSALS:
            return _REFUSALS[mood], b"{}"
        if mood in _WITHOUT_EFFECT:
            self._saved[key] = _WITHOUT_EFFECT[mood]
        elif mood is Mood.WORK:
            self._working.add(key)
        elif mood is not Mood.CUT_BEFORE:
            self._do(key)
        if mood is Mood.HANG:
            await asyncio.Event().wait()
        if mood is Mood.FORGET:
            self.forget(key)
        return None if mood in _CUTS else self._saved[key]


async def _write(writer: asyncio.StreamWriter, answer: bytes, mood: Mood) -> None:
    whole = answer[: -len(answer) // 4] if mood is Mood.CUT_WITHIN else answer
    size = 1 if mood is Mood.DRIP else len(whole)
    for at in range(0, len(whole), size):
        writer.write(whole[at : at + size])
        await writer.drain()
        await asyncio.sleep(0)
