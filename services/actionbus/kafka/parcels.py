"""Record batches as they come from brokers, whatever their producer made of them. What records mean is not known here.

Kafka's own clients take any bytes for the name of a header and show what is no UTF-8 as U+FFFD. aiokafka raises there,
again at every fetch, so that one such record would stop all who read its partition: a client in C writes one easily.
"""

import struct
from collections.abc import Iterator
from typing import Any, Final

import aiokafka.consumer.fetcher
from aiokafka.record.default_records import (
    _DefaultRecordBatchPy as ParsedInPython,  # pyright: ignore[reportPrivateUsage] - the only one that can be taught
)
from aiokafka.record.memory_records import MemoryRecords

_LENGTH: Final = struct.Struct(">8xi")  # of a batch, behind its first offset


class Parcels:
    """The batches in the bytes of a fetch, in order; in the place of aiokafka's ``MemoryRecords``."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._memory = MemoryRecords(data)
        self._place = 0

    def has_next(self) -> bool:
        """Whether another whole batch follows."""
        return self._memory.has_next()

    def size_in_bytes(self) -> int:
        """Of all of it."""
        return len(self._data)

    def next_batch(self) -> "Parcel | None":
        """The next batch; None behind the last."""
        batch: Any = self._memory.next_batch()
        if batch is None:
            return None
        begin = self._place
        self._place += _LENGTH.size + _LENGTH.unpack_from(self._data, begin)[0]
        return Parcel(batch, memoryview(self._data)[begin : self._place])


class Parcel:
    """One batch. It has what aiokafka's batches have, and its records are read whatever their headers are called."""

    def __init__(self, batch: Any, data: memoryview) -> None:
        self._batch = batch
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        given = 0
        try:
            for record in self._batch:
                yield record
                given += 1
        except UnicodeDecodeError:
            for number, record in enumerate(_Forgiving(self._data)):
                if number >= given:
                    yield record


class _Forgiving(ParsedInPython):  # pyright: ignore[reportGeneralTypeIssues] - final by its stub alone
    """aiokafka's parser in Python, reading names kindly; ten times as slow, so only where it has to be."""

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer: bytearray = _Buffer(self._buffer)


class _Buffer(bytearray):
    """Bytes whose parts are texts, whatever they hold."""

    def __getitem__(self, place: Any) -> Any:
        found = super().__getitem__(place)
        return _Part(found) if isinstance(place, slice) else found


class _Part(bytearray):
    """The bytes of a name."""

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        """The text, with U+FFFD for what is none."""
        del errors
        return super().decode(encoding, "replace")


def teach(fetcher: Any = aiokafka.consumer.fetcher) -> None:
    """Let the library's consumers read batches like this; harmless when repeated."""
    fetcher.MemoryRecords = Parcels
