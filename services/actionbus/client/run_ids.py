"""The ids of runs whose caller chose none: they sort by the time they were made and never repeat."""

import secrets
import time
import uuid
from typing import Final

from actionbus.kafka.partitioning import partition_for

_RANDOM_BITS: Final = 62


def beside(key: str, shards: int) -> str:
    """A fresh id whose run lives in the same shard as every other one that was made with this key."""
    wanted = partition_for(key.encode(), shards)
    while partition_for((made := fresh()).encode(), shards) != wanted:
        pass
    return made


def fresh() -> str:
    """A UUID of version 7 (RFC 9562): 48 bits of milliseconds, the rest random."""
    milliseconds = time.time_ns() // 1_000_000
    upper = (milliseconds << 16) | (7 << 12) | secrets.randbits(12)
    lower = (0b10 << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
    return str(uuid.UUID(int=(upper << 64) | lower))
