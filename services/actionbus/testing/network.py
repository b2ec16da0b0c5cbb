"""The way between an owner of a shard and its broker, where requests and replies are held, lost, late or doubled.

A test says beforehand what happens to the next request of a kind. Everything else is delivered in its turn.
"""

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import Literal, TypeVar

T = TypeVar("T")

Kind = Literal["fence", "clear", "add", "write", "end", "publish", "read"]


class Fate(Enum):
    """What becomes of a request."""

    HELD = "it waits in the network until it is released"
    LOST = "it never arrives, and no reply comes"
    UNANSWERED = "it arrives, and no reply comes"
    LATE = "no reply comes, and it arrives when it is delivered by hand"
    DOUBLED = "it arrives and is answered, and a copy of it can be delivered by hand"
    REFUSED = "the broker refuses it"


class Silence(Exception):
    """No reply came in time."""


class Trap:
    """Waits for one request, and gives it its fate."""

    def __init__(self, kind: Kind, about: str, fate: Fate, error: Exception | None) -> None:
        self.kind = kind
        self.about = about
        self.fate = fate
        self.error = error
        self.caught = asyncio.Event()
        self._release = asyncio.Event()
        self._copy: Callable[[], object] | None = None

    def release(self) -> None:
        """Let a held request go on."""
        self._release.set()

    def deliver(self) -> None:
        """Let the copy of a late or doubled request arrive now; what the broker answers, nobody hears."""
        if self._copy is None:
            raise LookupError("nothing was caught yet")
        try:
            self._copy()
        except Exception as error:  # noqa: BLE001 - the reply to a late request reaches nobody
            self.error = error

    async def decide(self, request: Callable[[], T]) -> T:
        """Give the request its fate; raises Silence where no reply comes."""
        self._copy = request
        self.caught.set()
        match self.fate:
            case Fate.HELD:
                await self._release.wait()
                return request()
            case Fate.LOST | Fate.LATE:
                raise Silence
            case Fate.UNANSWERED:
                request()
                raise Silence
            case Fate.DOUBLED:
                return request()
            case Fate.REFUSED:
                raise self.error or Silence()


class Network:
    """The requests of one owner."""

    def __init__(self) -> None:
        self._traps: list[Trap] = []

    def trap(self, kind: Kind, about: str, fate: Fate, error: Exception | None = None) -> Trap:
        """Say what becomes of the next request of a kind.

        ``about`` is a slot, a or b, for what belongs to a transactional id, else a part of the topic's name.
        """
        trap = Trap(kind, about, fate, error)
        self._traps.append(trap)
        return trap

    async def send(self, kind: Kind, about: str, request: Callable[[], T]) -> T:
        """Send a request and return the reply; raises Silence, or what the broker refuses it with."""
        await asyncio.sleep(0)
        for trap in self._traps:
            if trap.kind == kind and (trap.about == about or (len(about) > 1 and trap.about in about)):
                self._traps.remove(trap)
                return await trap.decide(request)
        return request()
