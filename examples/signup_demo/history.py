"""What the installation itself published about the signups: the events topic, read once from end to end."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from actionbus.contracts.events import EntryKind, WorkflowEvent
from actionbus.contracts.topics import Topics
from actionbus.kafka.admin import Admin
from actionbus.kafka.codec import Codec
from actionbus.kafka.connection import Connection
from actionbus.kafka.reader import PartitionReader


@dataclass(kw_only=True)
class History:
    """The statuses, versions and decisions of all runs."""

    statuses: dict[str, str] = field(default_factory=dict)
    versions: dict[str, list[int]] = field(default_factory=dict)
    decisions: Counter[str] = field(default_factory=Counter)
    rejections: dict[str, str] = field(default_factory=dict)
    steps: int = 0

    def add(self, event: WorkflowEvent) -> None:
        """Take note of one event; a verdict that changed no run has version 0."""
        if event.version == 0:
            for entry in event.entries:
                if entry.kind is EntryKind.REQUEST_REJECTED:
                    self.rejections[event.run_id] = entry.reason or ""
            return
        self.statuses[event.run_id] = event.status.value
        self.versions.setdefault(event.run_id, []).append(event.version)
        for entry in event.entries:
            self.steps += entry.kind is EntryKind.STEP_SUCCEEDED
            if entry.decision is not None:
                self.decisions[entry.decision.decision] += 1

    def violations(self) -> Iterator[str]:
        """Transitions that are missing, or that stand there twice or out of order."""
        for run_id, versions in sorted(self.versions.items()):
            if versions != list(range(1, len(versions) + 1)):
                yield f"run {run_id}: its events are numbered {versions}"


async def read(connection: Connection, topics: Topics) -> History:
    """All events of an installation, as a reader sees them that skips what was not committed."""
    history, codec = History(), Codec()
    async with Admin(connection) as admin:
        partitions = (await admin.topics(topics.events))[topics.events].partitions
    async with PartitionReader(connection) as reader:
        for partition in range(partitions):
            async for records in reader.read_to_end(topics.events, partition):
                for record in records:
                    history.add(codec.decode(WorkflowEvent, record.value))
    return history
