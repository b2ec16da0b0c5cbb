"""`actionbus dlq`: a letter is sent once more and has its effect, or is set aside; asked for one by one and by a text."""

from actionbus.contracts.dead_letters import dead_letter
from actionbus.contracts.records import InRecord
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.kafka.cluster import Cluster
from actionbus.kafka.codec import Codec
from actionbus.kafka.connection import Connection
from actionbus.kafka.partitioning import partition_for
from actionbus.kafka.producer import IdempotentProducer
from cli.installed import Dev

TOPIC = "actionbus.workflow.dead-letters.v1"
REQUESTS = "actionbus.workflow.requests.v1"


async def _letter(dev: Dev, run_id: str, why: str) -> None:
    """A start that became a dead letter for some reason."""
    connection = Connection(bootstrap_servers=f"127.0.0.1:{dev.kafka_port}")
    async with Cluster(connection) as cluster:
        partition = partition_for(run_id.encode(), await cluster.partitions(REQUESTS))
    request = WorkflowRequest(
        request_id=f"start-{run_id}",
        run_id=run_id,
        kind=RequestKind.START,
        workflow="hello",
        payload=b'"Ada"',
        requested_by="a test",
        requested_at=5,
    )
    value = Codec().encode(request)
    found = InRecord(REQUESTS, partition, 7, 5, key=run_id.encode(), value=value)
    letter = dead_letter(found, group="shard", error=ValueError(why), largest=1_000_000)
    async with IdempotentProducer(connection) as producer:
        await producer.append(TOPIC, 0, [letter])


def _listed(dev: Dev, way: list[str], *options: str) -> dict[str, dict]:
    return {row["key"]: row for row in dev.json(*way, "dlq", "list", "--topic", TOPIC, *options)}


async def test_a_letter_is_replayed(dev: Dev, way: list[str]) -> None:
    """What it asked for happens, once; then it is listed no more, and cannot be sent again."""
    name = f"again-{len(way)}"
    await _letter(dev, name, "out of memory")
    row = _listed(dev, way)[name]
    place = [TOPIC, str(row["partition"]), str(row["offset"])]
    (done,) = dev.json(*way, "dlq", "replay", *place, "--reason", "there is more of it now", "--by", "Ann")
    assert done["verdict"] == "done"
    dev.until(lambda: dev.json("runs", "result", name) == "Hello, Ada!")
    assert "replayed by Ann: there is more of it now before" in dev.refused(4, *way, "dlq", "replay", *place)
    assert name not in _listed(dev, way)
    assert _listed(dev, way, "--settled")[name]["settled"] == "replayed by Ann: there is more of it now"


async def test_letters_are_dropped_by_what_is_said_of_them(dev: Dev, way: list[str]) -> None:
    """First only said, then done; others stay."""
    for name, why in (("bad-1", "the writer is wrong"), ("bad-2", "the writer is wrong"), ("good", "nobody was there")):
        await _letter(dev, name, why)
    possible = dev.json(*way, "dlq", "drop", TOPIC, "--saying", "writer is wrong", "--dry-run")
    assert {row["key"]: row["verdict"] for row in possible} == {"bad-1": "possible", "bad-2": "possible"}
    assert {"bad-1", "bad-2", "good"} <= _listed(dev, way).keys()
    done = dev.json(*way, "dlq", "drop", TOPIC, "--saying", "writer is wrong")
    assert {row["key"]: row["verdict"] for row in done} == {"bad-1": "done", "bad-2": "done"}
    assert {"bad-1", "bad-2", "good"} & _listed(dev, way).keys() == {"good"}


def test_it_has_to_be_clear_which_are_meant(dev: Dev, way: list[str]) -> None:
    """A place or a text, never neither, never both; a place that is there."""
    assert "say which" in dev.refused(2, *way, "dlq", "drop", TOPIC)
    assert "say which" in dev.refused(2, *way, "dlq", "drop", TOPIC, "0", "0", "--saying", "x")
    assert "has no letter" in dev.refused(2, *way, "dlq", "replay", TOPIC, "0", "999999")
    assert "is no topic of dead letters" in dev.refused(2, *way, "dlq", "replay", REQUESTS, "--saying", "")
