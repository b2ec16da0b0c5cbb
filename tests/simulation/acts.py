"""What may happen in a world, beside what its processes do."""

from dataclasses import dataclass

from actionbus.contracts.requests import IfExists, RequestKind


@dataclass(frozen=True)
class Ask:
    """Somebody asks something of a run; ``pick`` chooses among what may be meant, or be said.

    ``astray``: another shard is asked. ``below``: of a run that it has started. ``workflow``: that of a start, None: the
    usual one; a signal with a workflow starts the run if there is none.
    """

    at_ms: int
    run: str
    kind: RequestKind
    request_id: str
    pick: float = 0.0
    astray: bool = False
    below: bool = False
    workflow: str | None = None
    version: str | None = None
    if_exists: IfExists = IfExists.REJECT


@dataclass(frozen=True)
class Kill:
    """A process dies right before or right after an effect, and comes back after a while.

    It is the ``then``-th effect after the ``number``-th one of a kind; the kind "" is any. ``who`` is a process, or "o" or
    "w" for whichever orchestrator or worker it is then.
    """

    who: str
    kind: str
    number: int
    then: int
    after: bool
    back_ms: int


@dataclass(frozen=True)
class Freeze:
    """A process stands still from an effect on, for a while; what it has sent is under way."""

    who: str
    kind: str
    number: int
    then: int
    for_ms: int


@dataclass(frozen=True)
class Trouble:
    """Something happens to a process's n-th request of a kind."""

    who: str
    kind: str
    number: int
    fate: str
    ms: int


@dataclass(frozen=True)
class Move:
    """The group gives a shard, or a worker's partitions, to another process; each hears of it in its time."""

    at_ms: int
    to: str
    told_new_ms: int
    told_old_ms: int
    shard: int = 0


@dataclass(frozen=True)
class Jump:
    """The broker's clock jumps."""

    at_ms: int
    by_ms: int


@dataclass(frozen=True)
class Markers:
    """The markers of transactions that end in a while are late, or are never written."""

    at_ms: int
    for_ms: int
    lost: bool = False


@dataclass(frozen=True)
class Deploy:
    """The later version of the workflow is deployed."""

    at_ms: int


Act = Ask | Kill | Freeze | Trouble | Move | Jump | Markers | Deploy
