"""Memory and descriptors of processes over time, and the straight line through them."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from integration.installation import Service

EVERY_SECONDS = 2.0
WARM_SHARE = 1 / 3  # of the time, at its beginning, in which a process still grows into its work
FEWEST = 10  # samples for a line
HOUR_SECONDS = 3_600.0


@dataclass
class Line:
    """A quantity of one process: seconds and values."""

    samples: list[tuple[float, float]] = field(default_factory=list)

    @property
    def settled(self) -> list[tuple[float, float]]:
        """Without the beginning."""
        if not self.samples:
            return []
        begin, end = self.samples[0][0], self.samples[-1][0]
        return [each for each in self.samples if each[0] >= begin + WARM_SHARE * (end - begin)]

    @property
    def mean(self) -> float:
        """Of what is settled."""
        values = [value for _, value in self.settled]
        return sum(values) / len(values)

    @property
    def per_hour(self) -> float | None:
        """The slope of the line of least squares through what is settled; None of too few samples."""
        points = self.settled
        if len(points) < FEWEST:
            return None
        middle = sum(at for at, _ in points) / len(points)
        spread = sum((at - middle) ** 2 for at, _ in points)
        return HOUR_SECONDS * sum((at - middle) * (value - self.mean) for at, value in points) / spread


@dataclass
class Usage:
    """What each of some processes used."""

    rss: dict[str, Line] = field(default_factory=dict)
    files: dict[str, Line] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    @property
    def hours(self) -> float:
        """How long it was looked at them."""
        return (time.monotonic() - self.began) / HOUR_SECONDS

    def look(self, services: Sequence[Service]) -> None:
        """Take a sample of each."""
        for each in services:
            at, place = time.monotonic(), Path(f"/proc/{each.pid}")
            pages = int((place / "statm").read_text().split()[1])
            self.rss.setdefault(each.name, Line()).samples.append((at, pages * os.sysconf("SC_PAGE_SIZE") / 2**20))
            self.files.setdefault(each.name, Line()).samples.append((at, sum(1 for _ in (place / "fd").iterdir())))

    def growth(self, name: str) -> float | None:
        """By how many per cent of itself the memory of one grows in an hour."""
        line = self.rss[name]
        return None if line.per_hour is None else 100 * line.per_hour / line.mean

    def __str__(self) -> str:
        return "; ".join(self._said(name) for name in self.rss)

    def _said(self, name: str) -> str:
        growth, files = self.growth(name), self.files[name]
        if growth is None or files.per_hour is None:
            return f"{name} was looked at too briefly"
        return (
            f"{name} {self.rss[name].mean:.0f} MiB {growth:+.1f} %/h, "
            f"{files.mean:.0f} descriptors {files.per_hour:+.1f} /h"
        )


@asynccontextmanager
async def watched(services: Sequence[Service]) -> AsyncIterator[Usage]:
    """Look at these, which nobody ends meanwhile, for the length of the block."""
    usage = Usage()

    async def look() -> None:
        while True:
            usage.look(services)
            await asyncio.sleep(EVERY_SECONDS)

    looking = asyncio.create_task(look())
    try:
        yield usage
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
