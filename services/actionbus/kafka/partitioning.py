"""Which partition a key belongs to: murmur2 as Java's default partitioner computes it. Nothing else may choose one."""

import struct
from functools import lru_cache
from typing import Final

_SEED: Final = 0x9747B28C
_MIX: Final = 0x5BD1E995
_WORD: Final = 0xFFFFFFFF
_POSITIVE: Final = 0x7FFFFFFF
_REMEMBERED: Final = 65_536  # keys; a run's key comes back with every request, command and result of it


@lru_cache(maxsize=_REMEMBERED)
def partition_for(key: bytes, partitions: int) -> int:
    """The partition of a key, from 0 to `partitions` - 1.

    Source: org.apache.kafka.common.utils.Utils.murmur2 and toPositive, which Java, franz-go, kafkajs and aiokafka use
    by default; librdkafka only with partitioner=murmur2_random.
    """
    return (murmur2(key) & _POSITIVE) % partitions


def murmur2(data: bytes) -> int:
    """The 32-bit hash, unsigned (Java shows it signed)."""
    length = len(data)
    words, rest = divmod(length, 4)
    value = _SEED ^ length
    for word in struct.unpack_from(f"<{words}I", data):
        mixed = (word * _MIX) & _WORD
        mixed = ((mixed ^ (mixed >> 24)) * _MIX) & _WORD
        value = ((value * _MIX) & _WORD) ^ mixed
    if rest:
        value = ((value ^ int.from_bytes(data[-rest:], "little")) * _MIX) & _WORD
    value = ((value ^ (value >> 13)) * _MIX) & _WORD
    return value ^ (value >> 15)
