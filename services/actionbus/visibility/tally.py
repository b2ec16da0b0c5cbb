"""What one batch adds to the windows: exact counts, and counts by bucket for latencies."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final

from actionbus.visibility import latency
from actionbus.visibility.insights import COUNTS, LENGTHS_MS, Resolution, WindowKind

_PLACES: Final = {name: place for place, name in enumerate(COUNTS)}
_DURATION: Final = _PLACES["duration_ms"]
_COMPLETED: Final = _PLACES["completed"]
_MINUTE_MS: Final = LENGTHS_MS[Resolution.MINUTE]

Window = tuple[str, int, str, str]
"""Resolution, start, kind, name: the key of a window."""


class Tally:
    """Counts by minute, which whole hours and days are made of."""

    def __init__(self) -> None:
        self._counts: dict[tuple[int, str, str], list[int]] = defaultdict(lambda: [0] * len(COUNTS))
        self._buckets: Counter[tuple[int, str, str, int]] = Counter()

    def add(self, kind: WindowKind, name: str | None, at: int, what: str) -> None:
        """Something happened to a run of a workflow, or to an attempt of an action."""
        if name:
            self._counts[at - at % _MINUTE_MS, kind.value, name][_PLACES[what]] += 1

    def completed(self, kind: WindowKind, name: str | None, at: int, since: int | None) -> None:
        """Something completed that began at a time; None: nobody knows when."""
        if not name:
            return
        start = at - at % _MINUTE_MS
        counts = self._counts[start, kind.value, name]
        counts[_COMPLETED] += 1
        if since is not None:
            counts[_DURATION] += max(0, at - since)
            self._buckets[start, kind.value, name, latency.bucket_of(at - since)] += 1

    def windows(self) -> Iterator[tuple[Window, list[int]]]:
        """What is added to each window, in the order of their keys: writers that meet wait and do not block."""
        found: dict[Window, list[int]] = {}
        for (start, kind, name), counts in self._counts.items():
            for resolution, length in LENGTHS_MS.items():
                key = (resolution.value, start - start % length, kind, name)
                before = found.get(key)
                found[key] = counts if before is None else [a + b for a, b in zip(before, counts, strict=True)]
        yield from sorted(found.items())

    def latencies(self) -> Iterator[tuple[Window, int, int]]:
        """The same for the buckets of each window: key, bucket, count."""
        found: Counter[tuple[Window, int]] = Counter()
        for (start, kind, name, bucket), count in self._buckets.items():
            for resolution, length in LENGTHS_MS.items():
                found[(resolution.value, start - start % length, kind, name), bucket] += count
        for (window, bucket), count in sorted(found.items()):
            yield window, bucket, count
