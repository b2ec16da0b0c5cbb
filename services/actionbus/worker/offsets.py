"""What of one partition is done: a finished prefix, and the finished offsets above it, packed into commit metadata.

Kafka keeps one number per group and partition, everything below which is done. Commands finish out of order, so the
offsets above that number which are done as well travel in the metadata of the commit. A restart then repeats only what
was unfinished. Pure: reading, committing and pausing are done by the lane.

Format of the metadata: ``ab1:`` and base64 of LEB128 numbers, the lengths of runs that are open and done in turn,
beginning with an open run at the committed offset and ending with a done one. Everything above the last run is open.
"""

import binascii
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

MARK: Final = "ab1:"
_VARINT_BITS: Final = 7

Run = tuple[int, int]  # first offset, and the one after the last


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """What is committed for a partition: the lowest offset that is not done, and what is done above it."""

    offset: int
    metadata: str = ""


class Progress:
    """What was received from one partition since it was assigned, and what of it is done."""

    def __init__(self, committed: Position, *, metadata_bytes: int) -> None:
        self._limit = metadata_bytes
        self._next = committed.offset  # the offset after the highest received one
        self._open: set[int] = set()
        self._done_before = deque(decode(committed))  # finished by an earlier owner, not yet read again

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

    def finish(self, offset: int) -> None:
        """Note that the result of a record was acknowledged, or that none is needed."""
        self._open.discard(offset)

    def position(self) -> Position | None:
        """What may be committed now; None when it does not fit the metadata, so that the last commit has to stand.

        That cannot happen while ``room`` is respected: it is a second lock on the same door.
        """
        unfinished = sorted(self._open)
        offset = unfinished[0] if unfinished else self._next
        done = self._done_from(offset, unfinished)
        if done and done[0][0] == offset:
            offset = done.pop(0)[1]
        metadata = encode(offset, done)
        return Position(offset=offset, metadata=metadata) if len(metadata) <= self._limit else None

    def room(self, records: int) -> bool:
        """Whether so many further records can be received and finish in any order, and the metadata still fits.

        With nothing unfinished there is always room: otherwise a limit that was lowered would stop the partition.
        """
        if not self._open:
            return True
        highest = max(self._next + records, self._done_before[-1][1] if self._done_before else 0)
        open_runs = len(self._open) + records + len(self._done_before)
        return _worst_length(open_runs, highest - min(self._open)) <= self._limit

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


def encode(offset: int, done: Iterable[Run]) -> str:
    """The metadata of a commit at ``offset`` with these ascending runs of done offsets above it."""
    lengths = bytearray()
    at = offset
    for first, last in done:
        _write(lengths, first - at)
        _write(lengths, last - first)
        at = last
    return MARK + b64encode(lengths).decode() if lengths else ""


def decode(committed: Position) -> list[Run]:
    """The runs of done offsets in a commit; none when the metadata is empty, damaged or not ours.

    Metadata that cannot be read costs work that is repeated, never work that is lost: a tool that resets a group's
    offsets writes none, and means it.
    """
    if not committed.metadata.startswith(MARK):
        return []
    try:
        lengths = list(_read(b64decode(committed.metadata[len(MARK) :], validate=True)))
    except (binascii.Error, ValueError):
        return []
    if len(lengths) % 2 or 0 in lengths:
        return []
    runs: list[Run] = []
    at = committed.offset
    for open_length, done_length in zip(lengths[::2], lengths[1::2], strict=True):
        first = at + open_length
        at = first + done_length
        runs.append((first, at))
    return runs


def _write(out: bytearray, number: int) -> None:
    while number >= 1 << _VARINT_BITS:
        out.append(number & 0x7F | 0x80)
        number >>= _VARINT_BITS
    out.append(number)


def _read(data: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        shift += _VARINT_BITS
        if not byte & 0x80:
            yield number
            number = shift = 0
    if shift:
        raise ValueError("the last number is cut off")


def _worst_length(open_runs: int, span: int) -> int:
    # Each run costs a byte, and one more for every 7 bits of its length: at most span / 128 runs can be that long.
    widest = max(1, -(-span.bit_length() // _VARINT_BITS))
    numbers = 2 * open_runs
    long = min(numbers, span >> _VARINT_BITS)
    return len(MARK) + -(-(numbers + long * (widest - 1)) // 3) * 4
