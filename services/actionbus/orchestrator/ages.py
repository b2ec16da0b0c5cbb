"""How many there are, how old the oldest is, and how many are older than a bound: counted by second, not one by one."""

import heapq


class Ages:
    """Counts by second. A look costs the same for ten as for a million that came in the same seconds."""

    def __init__(self) -> None:
        self._bound = 0  # only rises
        self._late = _Seconds()  # up to the bound, and it included
        self._fresh = _Seconds()

    def add(self, second: int, more: int) -> None:
        """One joins (1), or one of that second leaves (-1)."""
        (self._late if second <= self._bound else self._fresh).add(second, more)

    @property
    def count(self) -> int:
        """How many there are."""
        return self._late.count + self._fresh.count

    @property
    def oldest(self) -> int | None:
        """The second of the oldest; None when there is none."""
        late = self._late.first()
        return self._fresh.first() if late is None else late

    @property
    def late(self) -> int:
        """How many are of the second that was aged to, or an earlier one; fewer while there is more to age."""
        return self._late.count

    def age(self, second: int, most: int) -> int:
        """What is of this second or an earlier one is late from now on; at most so many seconds are looked at.

        How many were: the rest follows when it is called again, for a million may have come while nobody looked.
        """
        for aged in range(most):
            first = self._fresh.first()
            if first is None or first > second:
                self._bound = max(self._bound, second)
                return aged
            self._bound = max(self._bound, first)
            self._late.add(first, self._fresh.take(first))
        return most


class _Seconds:
    def __init__(self) -> None:
        self.count = 0
        self._counts: dict[int, int] = {}
        self._order: list[int] = []  # a heap; what has no count any more is passed over

    def add(self, second: int, more: int) -> None:
        self.count += more
        before = self._counts.get(second, 0)
        if not before:
            heapq.heappush(self._order, second)
        if before + more:
            self._counts[second] = before + more
        else:
            del self._counts[second]

    def first(self) -> int | None:
        while self._order and self._order[0] not in self._counts:
            heapq.heappop(self._order)
        return self._order[0] if self._order else None

    def take(self, second: int) -> int:
        taken = self._counts.pop(second)
        self.count -= taken
        return taken
