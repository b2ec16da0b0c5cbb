"""What an installation published about its runs, read from end to end as a reader sees it that skips aborted records.

What its actions did to the world is in `oracle`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from actionbus.contracts.events import EntryKind, WorkflowEvent
from actionbus.contracts.identifiers import POSITION_KEY
from actionbus.contracts.positions import ShardPosition
from actionbus.contracts.run import WorkflowRun
from actionbus.contracts.topics import Topics
from actionbus.kafka.codec import Codec
from actionbus.kafka.connection import Connection
from actionbus.kafka.reader import PartitionReader


@dataclass
class Books:
    """Events by run, in the order of the log, and the state of every run that is not forgotten yet."""

    versions: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    kinds: defaultdict[str, Counter[EntryKind]] = field(default_factory=lambda: defaultdict(Counter))
    states: dict[str, WorkflowRun] = field(default_factory=dict)
    positions: dict[int, ShardPosition] = field(default_factory=dict)

    def note(self, event: WorkflowEvent) -> None:
        """Take note of one event; a verdict that changed no run has version 0."""
        if event.version:
            life = f"{event.run_id}:{event.incarnation}"
            self.versions[life].append(event.version)
            self.kinds[life].update(entry.kind for entry in event.entries)

    def violations(self, outcomes: Mapping[str, tuple[int, str]]) -> Iterator[str]:
        """Every way in which the books are not those of runs that each began once, advanced in order, and ended."""
        lives = Counter(life.rpartition(":")[0] for life in self.versions)
        yield from (f"run {run_id} was asked for and has no events" for run_id in outcomes.keys() - lives.keys())
        yield from (f"run {run_id} has {count} lives" for run_id, count in lives.items() if count > 1)
        for life, versions in self.versions.items():
            if versions != list(range(1, len(versions) + 1)):
                yield f"the events of {life} are numbered {versions}"
            for kind in (EntryKind.RUN_STARTED, EntryKind.RUN_ENDED):
                if self.kinds[life][kind] != 1:
                    yield f"{life} has {self.kinds[life][kind]} events {kind.value}"
        for run_id, (_, status) in outcomes.items():
            state = self.states.get(run_id)
            if state is None or state.status != status:
                yield f"run {run_id} is {state and state.status} in the state topic, its caller was told {status}"
            elif state.version != len(self.versions[f"{run_id}:{state.incarnation}"]):
                yield f"run {run_id} stands at version {state.version}, which is not that of its last event"


async def read(connection: Connection, prefix: str, shards: int) -> Books:
    """All events and states of an installation."""
    topics, codec, books = Topics(prefix), Codec(), Books()
    async with PartitionReader(connection) as reader:
        for shard in range(shards):
            async for records in reader.read_to_end(topics.events, shard):
                for record in records:
                    books.note(codec.decode(WorkflowEvent, record.value))
            async for records in reader.read_to_end(topics.state, shard):
                for record in records:
                    if record.key == POSITION_KEY:
                        books.positions[shard] = codec.decode(ShardPosition, record.value)
                    elif record.value is None and record.key is not None:
                        books.states.pop(record.key.decode(), None)  # forgotten
                    elif record.value is not None:
                        run = codec.decode(WorkflowRun, record.value)
                        books.states[run.run_id] = run
    return books
