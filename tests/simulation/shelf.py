"""A disk: what an orchestrator has kept of its runs, and finds again after a crash, without the newest of it.

It behaves as `orchestrator/shelf.py` says of RocksDB without a log of its own: what is lost is lost from the end.
"""

from actionbus.orchestrator.store import MemoryShelf

KEPT = 8  # of the latest writes, for a crash to choose from


class Shelf(MemoryShelf):
    """Survives its process."""

    def __init__(self) -> None:
        super().__init__()
        self._mark = None
        self._before = []

    def write(self, changes, mark) -> None:
        """Put or remove runs, and move the mark."""
        self._before = [*self._before[1 - KEPT :], (dict(self._values), self._mark)]
        super().write(changes, mark)
        self._mark = self._mark if mark is None else mark

    def mark(self):
        """Up to where it is complete."""
        return self._mark

    def wipe(self) -> None:
        """Forget everything."""
        super().wipe()
        self._mark, self._before = None, []

    def close(self) -> None:
        """Everything is on the disk now."""
        self._before = []

    def crash(self, share: float) -> None:
        """The newest writes are gone, as many as the lot says."""
        if self._before:
            self._values, self._mark = self._before[int(share * len(self._before))]
        self._before = []
