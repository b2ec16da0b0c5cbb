"""What of one partition is done: a finished prefix, and the finished offsets above it.

Commands finish out of order, so the offsets above the committed one which are done as well travel beside it, in the
metadata of the commit. A restart then repeats only what was unfinished. What an owner that was killed may have begun is
suspected of having killed it: it is begun again only once that stands beside the offset, and so is counted. Pure:
reading, committing and pausing are done by the lane.
"""

from collections import deque
from typing import Final

from actionbus.worker import metadata
from actionbus.worker.metadata import Memo, Position, Run

_BYTES_PER_MARK: Final = 8  # base64 of two numbers: a distance of up to 2^35, and how often


class Progress:
    """What was received from one partition since it was assigned, and what of it is done."""

    def __init__(self, committed: Position, *, metadata_bytes: int) -> None:
        self._limit = metadata_bytes
        self._marks = metadata_bytes // (8 * _BYTES_PER_MARK)  # an eighth of the metadata is theirs
        self._next = committed.offset  # the offset after the highest received one
        self._open: set[int] = set()
        before = metadata.read(committed)
        self._done_before = deque(before.done)  # finished by an earlier owner, not yet read again
        self._begun = dict(before.begun)  # how often each was begun while it was suspected
        self._begun_here: set[int] = set()
        self._suspected_below = 0
        self.deserted = before.held
        """Whether the owner before this one was killed, or could not say that it left."""

    @property
    def unfinished(self) -> int:
        """How many received offsets are not done."""
        return len(self._open)

    def receive(self, offset: int) -> bool:
        """Note that a record was read; False when it is done already and must not be worked on again.

        Records come in ascending order. Offsets that are passed over hold no record for us (transaction markers,
        records removed by retention), so they count as done.
        """
        if offset < self._next:
            return False
        self._next = offset + 1
        while self._done_before and self._done_before[0][1] <= offset:
            self._done_before.popleft()
        if self._done_before and self._done_before[0][0] <= offset:
            return False
        self._open.add(offset)
        return True

    def suspect_below(self, offset: int) -> None:
        """Note where the log ended when the partition came: an earlier owner can have begun nothing above it."""
        self._suspected_below = offset

    def suspected(self, offset: int) -> bool:
        """Whether an owner that was killed may have been at work on it."""
        return offset < self._suspected_below or offset in self._begun

    def times_begun(self, offset: int) -> int:
        """How often it was begun under suspicion by owners that were killed before it ended."""
        return self._begun.get(offset, 0)

    def begin(self, offset: int) -> bool:
        """Count that a suspected record is begun, once; False when the metadata has no room to say so now."""
        if offset in self._begun_here:
            return True
        if offset not in self._begun and len(self._begun) >= self._marks:
            return False
        self._begun[offset] = self._begun.get(offset, 0) + 1
        self._begun_here.add(offset)
        return True

    def finish(self, offset: int) -> None:
        """Note that the result of a record was acknowledged, or that none is needed."""
        self._open.discard(offset)
        self._begun.pop(offset, None)
        self._begun_here.discard(offset)

    def position(self, *, leaving: bool = False) -> Position | None:
        """What may be committed now; None when it does not fit the metadata, so that the last commit has to stand.

        That cannot happen while ``room`` is respected: it is a second lock on the same door. ``leaving``: whatever is
        under way here ends without harm, so it was not begun.
        """
        unfinished = sorted(self._open)
        offset = unfinished[0] if unfinished else self._next
        done = self._done_from(offset, unfinished)
        if done and done[0][0] == offset:
            offset = done.pop(0)[1]
        memo = Memo(done=tuple(done), begun=self._marks_from(offset, leaving=leaving), held=not leaving)
        text = metadata.write(offset, memo)
        return Position(offset=offset, metadata=text) if len(text) <= self._limit else None

    def room(self, records: int) -> bool:
        """Whether so many further records can be received and finish in any order, and the metadata still fits.

        With nothing unfinished there is always room: otherwise a limit that was lowered would stop the partition.
        """
        if not self._open:
            return True
        highest = max(self._next + records, self._done_before[-1][1] if self._done_before else 0)
        open_runs = len(self._open) + records + len(self._done_before)
        room = self._limit - self._marks * _BYTES_PER_MARK
        return metadata.worst_length(open_runs, highest - min(self._open)) <= room

    def _marks_from(self, offset: int, *, leaving: bool) -> dict[int, int]:
        marks = {each: times for each, times in self._begun.items() if each in self._open or each >= self._next}
        if leaving:
            marks = {each: times - (each in self._begun_here) for each, times in marks.items()}
        return {each: times for each, times in marks.items() if times and each >= offset}

    def _done_from(self, offset: int, unfinished: list[int]) -> list[Run]:
        runs: list[Run] = []
        for each in (*unfinished, self._next):
            if each > offset:
                runs.append((offset, each))
            offset = each + 1
        for first, last in self._done_before:
            start = max(first, self._next)
            if runs and runs[-1][1] == start:
                runs[-1] = (runs[-1][0], last)
            elif last > start:
                runs.append((start, last))
        return runs
