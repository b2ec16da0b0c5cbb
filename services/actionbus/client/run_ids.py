"""The ids of runs whose caller chose none: they sort by the time they were made and never repeat."""

import secrets
import time
import uuid
from typing import Final

_RANDOM_BITS: Final = 62


def fresh() -> str:
    """A UUID of version 7 (RFC 9562): 48 bits of milliseconds, the rest random."""
    milliseconds = time.time_ns() // 1_000_000
    upper = (milliseconds << 16) | (7 << 12) | secrets.randbits(12)
    lower = (0b10 << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
    return str(uuid.UUID(int=(upper << 64) | lower))
