"""What a worker and its computing processes say to each other: a kind, a length, and so many bytes."""

import asyncio
import struct
from enum import Enum
from typing import Final

LARGEST: Final = 16_777_216  # bytes of one frame: commands and results are far smaller, and bounded on their own
_HEAD: Final = struct.Struct(">cI")


class Kind(Enum):
    """What a frame is."""

    COMMAND = b"C"
    """An `ActionCommand` in JSON."""
    BEAT = b"B"
    """The details of a heartbeat in JSON, empty for none."""
    RESULT = b"R"
    """An `ActionResult` in JSON."""


def write(writer: asyncio.StreamWriter, kind: Kind, body: bytes) -> None:
    """Put a frame on its way."""
    writer.write(_HEAD.pack(kind.value, len(body)) + body)


async def read(reader: asyncio.StreamReader) -> tuple[Kind, bytes]:
    """The next frame; raises IncompleteReadError (an EOFError) when the other end is closed."""
    kind, size = _HEAD.unpack(await reader.readexactly(_HEAD.size))
    return Kind(kind), await reader.readexactly(size)
