"""The record as Kafka carries it, in both directions. Nothing about what its bytes mean lives here.

Records are tuples: a frozen dataclass takes three times as long to make, and every step makes eight of them.
"""

from typing import Final, NamedTuple

Headers = tuple[tuple[str, bytes], ...]
HEADER_FRAMING: Final = 6  # most bytes of the two lengths of a header in a record of a mebibyte


class OutRecord(NamedTuple):
    """A record that waits to be written: key and value in bytes, headers in order, time in epoch milliseconds.

    ``timestamp_ms`` None lets the broker's or the client's clock decide.
    """

    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp_ms: int | None = None

    @property
    def size(self) -> int:
        """Most bytes of key, value and headers, without Kafka's few bytes of framing around them."""
        size = len(self.key or b"") + len(self.value or b"")
        # Of a thousand headers the framing is more than a few bytes, and a name that is no ASCII more than its letters.
        return size + sum(
            HEADER_FRAMING + (len(name) if name.isascii() else len(name.encode())) + len(value)
            for name, value in self.headers
        )


class InRecord(NamedTuple):
    """A record that was read, with its place in the log."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    def header(self, name: str) -> bytes | None:
        """The value of the first header of that name, or None."""
        for candidate, value in self.headers:
            if candidate == name:
                return value
        return None
