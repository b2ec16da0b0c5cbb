"""How far the owner of a shard has come: for whoever watches it, and nobody decides by it."""

from dataclasses import dataclass

from actionbus.orchestrator.backlog import Backlog


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The next request and the next result to read, how many runs wait for a time, and what waits for workers."""

    requests: int
    results: int
    timers: int
    now: int  # by the broker's clock, epoch milliseconds
    backlog: Backlog
