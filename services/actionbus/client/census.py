"""The live runs, from the state topic. It is read whole: fit for a look of an operator or before a change, no more."""

from collections.abc import AsyncIterator, Collection

from actionbus.contracts.errors import RecordUnreadable
from actionbus.contracts.identifiers import POSITION_KEY
from actionbus.contracts.run import RunStatus, WorkflowRun
from actionbus.contracts.topics import Topics
from actionbus.kafka.cluster import Cluster
from actionbus.kafka.codec import Codec
from actionbus.kafka.connection import Connection
from actionbus.kafka.reader import PartitionReader


async def live(
    connection: Connection, topics: Topics, codec: Codec, workflows: Collection[str] | None = None
) -> AsyncIterator[WorkflowRun]:
    """Every run that has not ended, as the log holds it now; one partition of them in memory.

    ``workflows``: those of which runs are looked for; None: all. Raises TopicMissing without an installation,
    Unavailable, AccessRefused. What cannot be read is passed over.
    """
    async with Cluster(connection) as cluster:
        shards = await cluster.partitions(topics.state)
    async with PartitionReader(connection) as reader:
        for shard in range(shards):
            latest: dict[bytes, bytes] = {}
            async for records in reader.read_to_end(topics.state, shard):
                for record in records:
                    if record.key is None or record.key == POSITION_KEY:
                        continue
                    if record.value is not None and _is_meant(codec, record.value, workflows):
                        latest[record.key] = record.value
                    else:
                        latest.pop(record.key, None)
            for value in latest.values():
                yield codec.decode(WorkflowRun, value)


def _is_meant(codec: Codec, value: bytes, workflows: Collection[str] | None) -> bool:
    try:
        run = codec.glance(WorkflowRun, value, "workflow", "status")
    except RecordUnreadable:
        return False
    meant = workflows is None or run["workflow"] in workflows
    return meant and not RunStatus(run["status"]).ended
