"""Looking a run up in the topics: its state and its events. Each look reads one partition from its beginning.

That is what the topics allow; whoever looks often or lists runs needs a view of them in a database.
"""

from collections.abc import AsyncIterator

from actionbus.contracts.definitions import WorkflowDefinition
from actionbus.contracts.events import WorkflowEvent
from actionbus.contracts.limits import Limits
from actionbus.contracts.run import WorkflowRun
from actionbus.contracts.topics import Topics
from actionbus.kafka.codec import Codec
from actionbus.kafka.connection import Connection
from actionbus.kafka.partitioning import partition_for
from actionbus.kafka.reader import PartitionReader


class Archive:
    """Reads what the log holds of single runs."""

    def __init__(self, connection: Connection, topics: Topics, shards: int, *, codec: Codec, limits: Limits) -> None:
        self._reader = PartitionReader(connection, limits=limits)
        self._topics = topics
        self._shards = shards
        self._codec = codec

    async def start(self) -> None:
        """Connect."""
        await self._reader.start()

    async def close(self) -> None:
        """Close the connections."""
        await self._reader.close()

    async def state(self, run_id: str) -> WorkflowRun | None:
        """The run as the log holds it now; None when there is none, or it was forgotten after its retention."""
        latest: bytes | None = None
        async for value in self._values(self._topics.state, run_id):
            latest = value
        return None if latest is None else self._codec.decode(WorkflowRun, latest)

    async def events(self, run_id: str) -> list[WorkflowEvent]:
        """All events of the run's present life, oldest first; verdicts on requests that changed nothing included.

        Without any life there are only verdicts. Events are kept for days (see the catalogue of topics), so the oldest
        may be missing.
        """
        values = [value async for value in self._values(self._topics.events, run_id) if value is not None]
        found = [self._codec.decode(WorkflowEvent, value) for value in values]
        lives = [event.incarnation for event in found if event.version > 0]
        return [event for event in found if not lives or event.incarnation == lives[-1]]

    async def definitions(self, workflow: str) -> list[WorkflowDefinition]:
        """The deployed versions of a workflow."""
        found: dict[bytes, WorkflowDefinition] = {}
        async for records in self._reader.read_to_end(self._topics.definitions, 0):
            for record in records:
                if record.key is not None and record.value is not None:
                    found[record.key] = self._codec.decode(WorkflowDefinition, record.value)
        return [each for each in found.values() if each.name == workflow]

    async def _values(self, topic: str, run_id: str) -> AsyncIterator[bytes | None]:
        key = run_id.encode()
        async for records in self._reader.read_to_end(topic, partition_for(key, self._shards)):
            for record in records:
                if record.key == key:
                    yield record.value
