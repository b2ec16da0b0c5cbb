"""Latencies as counts in logarithmic buckets: whatever windows are added up, percentiles are still answered.

The bounds of the buckets are fixed for ever, for they are in the tables. A percentile is off by at most
``RELATIVE_ERROR`` of itself. Source: "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error
Guarantees", Masson, Rim and Lee, 2019.
"""

import math
from collections.abc import Mapping
from typing import Final

RELATIVE_ERROR: Final = 0.02
_FACTOR: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG: Final = math.log(_FACTOR)
INSTANT: Final = 0
"""The bucket of what took less than a millisecond."""


def bucket_of(milliseconds: int) -> int:
    """The bucket of a duration; one that is negative, by clocks that differ, counts as none."""
    return INSTANT if milliseconds < 1 else math.ceil(math.log(milliseconds) / _LOG) + 1


def value_of(bucket: int) -> float:
    """A duration in milliseconds that is near to all in a bucket."""
    return 0.0 if bucket == INSTANT else 2 * _FACTOR ** (bucket - 1) / (_FACTOR + 1)


def percentile(counts: Mapping[int, int], share: float) -> float | None:
    """The duration in milliseconds that a share of all (0.95: nineteen in twenty) did not exceed; None without any."""
    total = sum(counts.values())
    rank = max(1, math.ceil(share * total))
    for bucket in sorted(counts):
        rank -= counts[bucket]
        if rank <= 0 < total:
            return value_of(bucket)
    return None
