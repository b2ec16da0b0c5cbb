"""What is committed, transaction by transaction, and where each shard stands after it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.contracts.identifiers import POSITION_KEY
from actionbus.contracts.positions import ShardPosition
from actionbus.contracts.requests import WorkflowRequest
from actionbus.contracts.results import ActionResult
from actionbus.contracts.run import WorkflowRun
from simulation.judgement import hold

LINEAR = "the shard has one history"
ONCE = "each input is consumed once"
READABLE = "nothing that was written well is set aside"
EMITTED = "told"  # where the workflows publish


@dataclass
class Written:
    """Everything that one transaction has made to count."""

    shard: int = 0
    position: ShardPosition | None = None
    changes: dict[str, WorkflowRun | None] = field(default_factory=dict)
    events: list[WorkflowEvent] = field(default_factory=list)
    requests: list[tuple[int, int, WorkflowRequest]] = field(default_factory=list)
    """With the shard that each is for, and its offset there."""
    emitted: int = 0

    def entries(self, *kinds: EntryKind) -> list[tuple[WorkflowEvent, EventEntry]]:
        """What happened of these kinds."""
        return [(event, entry) for event in self.events for entry in event.entries if entry.kind in kinds]


def read(decode, topics, written) -> Written:
    """A transaction from its batches: each with its place, its first offset and its records."""
    found = Written()
    for (topic, partition), first, records in written:
        if topic == topics.state:
            found.shard = partition
            for each in records:
                if each.key == POSITION_KEY:
                    found.position = decode(ShardPosition, each.value)
                else:
                    run_id = each.key.decode()
                    found.changes[run_id] = None if each.value is None else decode(WorkflowRun, each.value)
        elif topic == topics.events:
            found.events += [decode(WorkflowEvent, each.value) for each in records]
        elif topic == topics.requests:
            asked = (decode(WorkflowRequest, each.value) for each in records)
            found.requests += [(partition, first + number, each) for number, each in enumerate(asked)]
        elif topic == EMITTED:
            found.emitted += len(records)
        else:
            hold(topic != topics.dead_letters, READABLE, records)
    hold(found.position is not None, LINEAR, "a transaction without a position counts")
    return found


class Shard:
    """What has been written to one shard, by offset, and how far it has read."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.position: ShardPosition | None = None
        self.requests: dict[int, WorkflowRequest] = {}
        self.results: dict[int, ActionResult] = {}

    @property
    def waiting(self) -> tuple[int, int]:
        """How many requests and results it has not read."""
        requests, results = self._read()
        return (
            sum(offset >= requests for offset in self.requests),
            sum(offset >= results for offset in self.results),
        )

    def _read(self) -> tuple[int, int]:
        position = self.position
        return (0, 0) if position is None else (position.requests_offset, position.results_offset)

    def moves_on(self, position: ShardPosition) -> tuple[list[WorkflowRequest], list[ActionResult]]:
        """One transaction follows from the one before it, and passes over no input: what it has consumed."""
        before = self.position
        seq, latest = (before.txn_seq, before.latest_time) if before else (0, 0)
        hold(position.txn_seq == seq + 1, LINEAR, f"{position.txn_seq} of {position.owner} comes after {seq}")
        hold(position.latest_time >= latest, LINEAR, "time goes back")
        hold(position.dispatched_through <= seq, LINEAR, "it knows of commands that nobody has sent")
        requests, results = self._read()
        self.position = position
        return (
            _consumed(self.requests, requests, position.requests_offset),
            _consumed(self.results, results, position.results_offset),
        )


def _consumed(inputs: dict, since: int, until: int) -> Sequence:
    hold(since == until or (since < until and until - 1 in inputs), ONCE, f"{until} comes after {since}")
    return [inputs[offset] for offset in sorted(inputs) if since <= offset < until]
