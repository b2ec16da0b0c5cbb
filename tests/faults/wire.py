"""The ways from services to brokers: each service has its own, through a proxy for each broker, and can be cut off alone."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from random import Random

from support.apache_kafka import ApacheKafka
from support.proxy import Proxy, Weather

LATENCY_SECONDS = 2.0  # at most, of one frame in one direction


@dataclass
class Wire:
    """What one service takes for its brokers, and the weather on the way to all of them."""

    proxies: list[Proxy]
    weather: Weather

    @property
    def bootstrap(self) -> str:
        """What the service is started with."""
        return ",".join(proxy.address for proxy in self.proxies)

    def close(self, *, requests: bool = True, replies: bool = True) -> None:
        """Let nothing through, in both directions or in one; connections stay open, as they do on a split network."""
        if requests:
            self.weather.requests.clear()
        if replies:
            self.weather.replies.clear()

    def delay(self, chance: Random) -> None:
        """Bring every frame late, by a time of its own."""
        self.weather.latency = lambda: chance.uniform(0, LATENCY_SECONDS)

    def tear(self, chance: Random) -> None:
        """Reset the connection that has the next frame, somewhere within the frame."""
        self.weather.tear = chance.randrange

    def crawl(self) -> None:
        """Let one byte through in a second."""
        self.weather.swift.clear()

    def repeat(self) -> None:
        """Bring every reply twice."""
        self.weather.copies = 2

    def mend(self) -> None:
        """Be an ordinary network again; what was held back arrives now."""
        for each in (self.weather.requests, self.weather.replies, self.weather.swift):
            each.set()
        self.weather.latency = self.weather.tear = None
        self.weather.copies = 1


@asynccontextmanager
async def wired(cluster: ApacheKafka, names: Sequence[str]) -> AsyncIterator[dict[str, Wire]]:
    """A wire for each service, by its name."""
    async with AsyncExitStack() as stack:
        wires: dict[str, Wire] = {}
        for name in names:
            weather = Weather()
            proxies = [Proxy(node.address, weather=weather) for node in cluster.nodes]
            for proxy in proxies:
                proxy.neighbours = [each for each in proxies if each is not proxy]
                await stack.enter_async_context(proxy)
            wires[name] = Wire(proxies, weather)
        yield wires
        for wire in wires.values():
            wire.mend()
