"""Which topics there are besides our own: where commands go, and what actions ask to be published."""

from collections.abc import Awaitable, Callable

from actionbus.orchestrator.clocks import Clock

ABSENT_MS = 10_000  # for how long a topic that was not there is not asked for again
KNOWN_MS = 300_000  # partitions may be added to a topic


class Unseen(Exception):
    """Nobody has asked the broker about this topic lately."""

    def __init__(self, topic: str) -> None:
        super().__init__(topic)
        self.topic = topic


class Destinations:
    """Partition counts of topics, remembered for a while."""

    def __init__(self, ask: Callable[[str], Awaitable[int | None]], clock: Clock) -> None:
        self._ask = ask
        self._clock = clock
        self._known: dict[str, tuple[int | None, int]] = {}

    def partitions(self, topic: str) -> int | None:
        """How many partitions a topic has, None when there is no such topic; raises Unseen when it has to be asked."""
        found = self._known.get(topic)
        if found is None or found[1] < self._clock.now_ms():
            raise Unseen(topic)
        return found[0]

    def forget(self) -> None:
        """A write was refused, perhaps because a topic is gone: ask again about all of them."""
        self._known.clear()

    async def look(self, topic: str) -> int | None:
        """Ask the broker, and remember."""
        count = await self._ask(topic)
        self._known[topic] = (count, self._clock.now_ms() + (ABSENT_MS if count is None else KNOWN_MS))
        return count
