"""What a consumer group says about partitions, as values. Who acts on them, and when, is not decided here."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """These are all partitions that this member holds from now on."""

    partitions: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """These partitions are about to go to somebody; this member is still in the group."""

    partitions: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The group has thrown this member out: somebody else may hold these partitions already."""

    partitions: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The group refuses this member for good, as it does without access."""

    error: Exception


Rebalance = Assigned | Revoked | Lost | Failed
