"""The third kind of input, beside requests and results: a run that has a timer due, or whose turn has come."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """A run to look at, because a timer of it is due, or something in it has its turn."""

    run_id: str
