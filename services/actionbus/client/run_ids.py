"""The ids of runs whose caller chose none: they sort by the time they were made and never repeat.

Where the caller chose a request id they derive from it, so that the request sent again means the same run.
"""

import hashlib
import itertools
import secrets
import time
import uuid
from typing import Final

from actionbus.contracts import identifiers
from actionbus.kafka.partitioning import partition_for

_RANDOM_BITS: Final = 62


def beside(key: str, shards: int) -> str:
    """A fresh id whose run lives in the same shard as every other one that was made with this key."""
    wanted = partition_for(key.encode(), shards)
    while partition_for((made := fresh()).encode(), shards) != wanted:
        pass
    return made


def derived(request_id: str, key: str | None, shards: int) -> str:
    """The id of a run whose start has this request id: the same one however often the request is sent.

    A request of the same key that asks for something else meets that run, and is refused.
    """
    chosen = identifiers.request_key(request_id)
    digests = (hashlib.sha256(f"{turn}/{chosen}".encode()).digest() for turn in itertools.count())
    made = (str(uuid.UUID(bytes=digest[:16], version=5)) for digest in digests)
    wanted = None if key is None else partition_for(key.encode(), shards)
    return next(each for each in made if wanted is None or partition_for(each.encode(), shards) == wanted)


def fresh() -> str:
    """A UUID of version 7 (RFC 9562): 48 bits of milliseconds, the rest random."""
    milliseconds = time.time_ns() // 1_000_000
    upper = (milliseconds << 16) | (7 << 12) | secrets.randbits(12)
    lower = (0b10 << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
    return str(uuid.UUID(int=(upper << 64) | lower))
