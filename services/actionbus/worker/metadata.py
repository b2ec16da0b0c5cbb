"""What the text beside a committed offset says: which offsets above it are done, and which were begun and never ended.

Kafka keeps one number per group and partition, everything below which is done, and a text beside it. The next owner of
the partition reads the text. Pure: `offsets` decides what is said.

Format: ``ab1:``, base64 of the runs that are open and done in turn, beginning with an open run at the committed offset
and ending with a done one; then, if there are any, ``.`` and base64 of the offsets that were begun, each as its
distance from the one before and how often; then ``~`` while an owner has the partition and has not left it. Numbers
are LEB128.
A reader of an older version takes what it does not know for nothing at all, which costs work that is repeated.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

MARK: Final = "ab1:"
_BEGUN: Final = "."
_HELD: Final = "~"
_VARINT_BITS: Final = 7

Run = tuple[int, int]  # first offset, and the one after the last


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """What is committed for a partition: the lowest offset that is not done, and the text beside it."""

    offset: int
    metadata: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memo:
    """What the text says: ascending runs that are done, how often offsets were begun, whether an owner is there."""

    done: tuple[Run, ...] = ()
    begun: Mapping[int, int] = field(default_factory=dict[int, int])
    held: bool = False


def write(offset: int, memo: Memo) -> str:
    """The text of a commit at ``offset``; all that it names lies at or above that."""
    runs = bytearray()
    at = offset
    for first, last in memo.done:
        _write(runs, first - at)
        _write(runs, last - first)
        at = last
    begun = bytearray()
    at = offset
    for each, times in sorted(memo.begun.items()):
        _write(begun, each - at)
        _write(begun, times)
        at = each
    said = b64encode(runs).decode()
    if begun:
        said += _BEGUN + b64encode(begun).decode()
    if memo.held:
        said += _HELD
    return MARK + said if said else ""


def read(committed: Position) -> Memo:
    """What is said beside a committed offset; nothing when the text is empty, damaged or not ours.

    What cannot be read costs work that is repeated, never work that is lost: a tool that resets a group's offsets
    writes no text, and means it.
    """
    if not committed.metadata.startswith(MARK):
        return Memo()
    said = committed.metadata.removeprefix(MARK)
    runs, _, begun = said.removesuffix(_HELD).partition(_BEGUN)
    try:
        return Memo(
            done=tuple(_runs(committed.offset, _pairs(runs))),
            begun=dict(_offsets(committed.offset, _pairs(begun))),
            held=said.endswith(_HELD),
        )
    except (binascii.Error, ValueError):
        return Memo()


def worst_length(open_runs: int, span: int) -> int:
    """The longest text that so many open runs within so many offsets can need, without what was begun."""
    # Each run costs a byte, and one more for every 7 bits of its length: at most span / 128 runs can be that long.
    widest = max(1, -(-span.bit_length() // _VARINT_BITS))
    numbers = 2 * open_runs
    long = min(numbers, span >> _VARINT_BITS)
    return len(MARK) + -(-(numbers + long * (widest - 1)) // 3) * 4 + len(_HELD)


def _runs(at: int, pairs: Iterable[tuple[int, int]]) -> Iterator[Run]:
    for open_length, done_length in pairs:
        if not open_length or not done_length:
            raise ValueError("a run has no length")
        first = at + open_length
        at = first + done_length
        yield first, at


def _offsets(at: int, pairs: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    for distance, times in pairs:
        at += distance
        yield at, times


def _pairs(text: str) -> Iterator[tuple[int, int]]:
    numbers = list(_read(b64decode(text, validate=True)))
    return zip(numbers[::2], numbers[1::2], strict=True)


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
