"""The runs of one shard as they were last committed: the lively ones as objects, all of them as bytes on a shelf.

What is here can be read again from the state topic at any time. A shelf is memory, or RocksDB (`shelf`).
"""

from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from actionbus.contracts.errors import Doubt, RecordUnreadable
from actionbus.contracts.run import WorkflowRun
from actionbus.kafka.codec import Codec

HOT_RUNS: Final = 5_000  # objects kept per shard, about 5 KiB each
OUTLINE: Final = ("run_id", "workflow", "status", "definition_version", "txn_seq", "steps", "timers", "turn", "paces")
USUAL_BYTES: Final = 1_000  # of a run's record, where nobody has looked


class DamagedState(Doubt):
    """The bytes of a run are none: what is remembered is of no use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """The position record that a shelf has seen last: where it stands in the state topic, and its bytes there."""

    offset: int
    value: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A run as a transaction has written it; both None: it is forgotten."""

    run: WorkflowRun | None
    value: bytes | None


class Shelf(Protocol):
    """Bytes by run id, and the mark up to which they are complete."""

    def get(self, run_id: str) -> bytes | None:
        """The bytes of a run."""
        ...

    def write(self, changes: Mapping[str, bytes | None], mark: Mark | None) -> None:
        """Put or remove runs, and move the mark, all of it or nothing."""
        ...

    def mark(self) -> Mark | None:
        """Up to where the shelf is complete; None: it holds nothing to rely on."""
        ...

    def values(self) -> Iterator[bytes]:
        """Every run."""
        ...

    def wipe(self) -> None:
        """Forget everything."""
        ...

    def close(self) -> None:
        """Keep what is to be kept and let go."""
        ...


class MemoryShelf:
    """A shelf that lasts as long as its shard is held."""

    def __init__(self) -> None:
        self._values: MutableMapping[str, bytes] = {}

    def get(self, run_id: str) -> bytes | None:
        """The bytes of a run."""
        return self._values.get(run_id)

    def write(self, changes: Mapping[str, bytes | None], mark: Mark | None) -> None:
        """Put or remove runs; there is nothing to survive, so the mark is not kept."""
        del mark
        for run_id, value in changes.items():
            if value is None:
                self._values.pop(run_id, None)
            else:
                self._values[run_id] = value

    def mark(self) -> Mark | None:
        """Nothing to rely on: memory begins empty."""
        return None

    def values(self) -> Iterator[bytes]:
        """Every run."""
        return iter(self._values.values())

    def wipe(self) -> None:
        """Forget everything."""
        self._values.clear()

    def close(self) -> None:
        """Nothing is kept."""
        self._values.clear()


class RunStore:
    """Looks runs up and takes in what was committed."""

    def __init__(self, codec: Codec, shelf: Shelf | None = None, *, hot_runs: int = HOT_RUNS) -> None:
        self.shelf: Shelf = shelf if shelf is not None else MemoryShelf()
        self._codec = codec
        self._hot_runs = hot_runs
        self._hot: dict[str, tuple[WorkflowRun, int]] = {}  # in the order of their last commit

    def get(self, run_id: str) -> WorkflowRun | None:
        """A run as it was last committed."""
        hot = self._hot.get(run_id)
        if hot is not None:
            return hot[0]
        value = self.shelf.get(run_id)
        return None if value is None else self.read(value)

    def size(self, run_id: str) -> int:
        """About how many bytes the run's record has."""
        hot = self._hot.get(run_id)
        return USUAL_BYTES if hot is None else hot[1]

    def apply(self, changes: Mapping[str, Change], mark: Mark) -> None:
        """Take in what a transaction has committed."""
        for run_id, change in changes.items():
            self._hot.pop(run_id, None)
            if change.run is not None and change.value is not None and not change.run.status.ended:
                self._hot[run_id] = (change.run, len(change.value))
        while len(self._hot) > self._hot_runs:
            del self._hot[next(iter(self._hot))]
        self.shelf.write({run_id: change.value for run_id, change in changes.items()}, mark)

    def read(self, value: bytes) -> WorkflowRun:
        """The run in the bytes of a shelf; raises DamagedState, and wipes the shelf, when they are none."""
        try:
            return self._codec.decode(WorkflowRun, value)
        except RecordUnreadable as error:
            self.shelf.wipe()
            raise DamagedState(f"a remembered run cannot be read: {error}") from error

    def outlines(self) -> Iterator[tuple[Mapping[str, Any], bytes]]:
        """What a takeover has to know of every run, with its bytes; the other fields are passed over unread."""
        for value in self.shelf.values():
            try:
                outline = self._codec.glance(WorkflowRun, value, *OUTLINE)
            except RecordUnreadable as error:
                self.shelf.wipe()
                raise DamagedState(f"a remembered run cannot be read: {error}") from error
            yield outline, value

    def scopes(self, value: bytes) -> list[str]:
        """The paths of the nodes that are under way in the run in the bytes of a shelf."""
        return [scope["path"] for scope in self._codec.glance(WorkflowRun, value, "scopes")["scopes"]]

    def close(self) -> None:
        """Let go of the shelf."""
        self._hot.clear()
        self.shelf.close()
