"""The third kind of input, beside requests and results: a run that has a timer due."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """A run to look at, because a timer of it is due."""

    run_id: str
