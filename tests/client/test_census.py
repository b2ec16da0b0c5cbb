"""Who asks how many runs live is told of those that do, as the log holds them last."""

from actionbus.client import Client, census
from actionbus.contracts.records import OutRecord
from actionbus.contracts.run import RunStatus
from actionbus.kafka.codec import Codec
from actionbus.kafka.connection import Connection
from actionbus.kafka.partitioning import partition_for
from actionbus.kafka.producer import IdempotentProducer
from client.answering import ADA, SHARDS, Answering


async def test_live_runs_are_found_in_every_partition(
    client: Client, orchestrator: Answering, connection: Connection
) -> None:
    """Ended runs, other workflows, forgotten runs, positions and what cannot be read are passed over."""
    orchestrator.held = {"greet", "first"}
    for number in range(6):
        await client.start("hello", ADA, run_id=f"lives-{number}")
    await client.start("two", ADA, run_id="other-1")
    (codec, topics) = (Codec(), orchestrator.topics)
    ended = orchestrator.runs["lives-0"].replace(run_id="ended-1", status=RunStatus.COMPLETED)
    gone = orchestrator.runs["lives-0"].replace(run_id="gone-1")
    async with IdempotentProducer(connection) as producer:
        for key, value in [
            *((run_id, codec.encode(run)) for run_id, run in orchestrator.runs.items()),
            ("ended-1", codec.encode(ended.replace(status=RunStatus.RUNNING))),
            ("ended-1", codec.encode(ended)),
            ("gone-1", codec.encode(gone)),
            ("gone-1", None),
            ("!position", b"no run"),
            ("broken-1", b"no run either"),
        ]:
            record = OutRecord(key=key.encode(), value=value)
            await producer.append(topics.state, partition_for(key.encode(), SHARDS), [record])
    found = [run.run_id async for run in census.live(connection, topics, codec, {"hello"})]
    assert sorted(found) == [f"lives-{number}" for number in range(6)]
