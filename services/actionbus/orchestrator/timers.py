"""When a shard has to look at which run. The timers themselves are part of the runs; this is only an index of them."""

import heapq


class Timers:
    """One entry for each run that waits for a time: never later than its earliest timer, perhaps too early.

    An entry that is too early costs one look at the run. Most steps end long before their timeout, so a timer is set
    far more often than it fires, and a run's next timer is mostly later than its last: keeping the old entry is free.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[int, str]] = []
        self._armed: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._armed)

    def disarm(self, run_id: str) -> None:
        """There is no such run any more."""
        self._armed.pop(run_id, None)

    def arm_at(self, run_id: str, due_at: int) -> None:
        """Look at the run at this time, or earlier if that was asked for already."""
        armed = self._armed.get(run_id)
        if armed is None or due_at < armed:
            self._armed[run_id] = due_at
            heapq.heappush(self._heap, (due_at, run_id))

    @property
    def next_at(self) -> int | None:
        """When the next entry is due."""
        while self._heap and self._armed.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)  # called off, or replaced by an earlier one
        return self._heap[0][0] if self._heap else None

    def pop(self, now: int) -> str | None:
        """A run to look at, taken out: it has to be armed again if timers of it are left. None: nothing is due."""
        at = self.next_at
        if at is None or at > now:
            return None
        _, run_id = heapq.heappop(self._heap)
        del self._armed[run_id]
        return run_id
