"""The live runs of some workflows, from the state topic. It is read whole: fit for a look before a change, no more."""

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
    connection: Connection, topics: Topics, codec: Codec, workflows: Collection[str]
) -> AsyncIterator[WorkflowRun]:
    """Every run of these workflows that has not ended, as the log holds it now; one partition of them in memory.

    Raises TopicMissing without an installation, Unavailable, AccessRefused. What cannot be read is passed over.
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


def _is_meant(codec: Codec, value: bytes, workflows: Collection[str]) -> bool:
    try:
        run = codec.glance(WorkflowRun, value, "workflow", "status")
    except RecordUnreadable:
        return False
    return run["workflow"] in workflows and not RunStatus(run["status"]).ended
