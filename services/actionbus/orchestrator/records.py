"""The records a shard writes, as bytes with their headers. What they say is decided elsewhere."""

from actionbus.contracts import headers
from actionbus.contracts.commands import ActionCommand
from actionbus.contracts.definitions import Encoding
from actionbus.contracts.events import WorkflowEvent
from actionbus.contracts.identifiers import POSITION_KEY
from actionbus.contracts.positions import ShardPosition
from actionbus.contracts.records import OutRecord
from actionbus.contracts.requests import WorkflowRequest
from actionbus.contracts.results import Emit
from actionbus.contracts.run import WorkflowRun
from actionbus.kafka import codec as codecs
from actionbus.kafka.codec import Codec

SOURCE = "orchestrator"  # ce_source of everything here
RECORD_OVERHEAD = 36  # most bytes of Kafka's own framing around key, value and headers


def state(codec: Codec, run: WorkflowRun) -> OutRecord:
    """The state of a run."""
    event_id = f"{run.run_id}:{run.incarnation}/{run.version}"
    return OutRecord(
        key=run.run_id.encode(),
        value=codec.encode(run),
        headers=headers.cloud_event("WorkflowRun", event_id, SOURCE, run.updated_at, trace=run.trace),
    )


def forgotten(run_id: str) -> OutRecord:
    """The tombstone of a run."""
    return OutRecord(key=run_id.encode(), value=None)


def position(codec: Codec, shard: int, written: ShardPosition) -> OutRecord:
    """Where a shard stands."""
    return OutRecord(
        key=POSITION_KEY,
        value=codec.encode(written),
        headers=headers.cloud_event("ShardPosition", f"{shard}/{written.txn_seq}", SOURCE, written.latest_time),
    )


def event(codec: Codec, happened: WorkflowEvent, trace: str | None) -> OutRecord:
    """What happened to a run."""
    event_id = f"{happened.run_id}:{happened.incarnation}/{happened.version}"
    return OutRecord(
        key=happened.run_id.encode(),
        value=codec.encode(happened),
        headers=headers.cloud_event("WorkflowEvent", event_id, SOURCE, happened.at, trace=trace),
    )


def request(codec: Codec, asked: WorkflowRequest, trace: str | None) -> OutRecord:
    """What one run asks of another."""
    return OutRecord(
        key=asked.run_id.encode(),
        value=codec.encode(asked),
        headers=headers.cloud_event("WorkflowRequest", asked.request_id, SOURCE, asked.requested_at, trace=trace),
    )


def emitted(emit: Emit, now: int) -> OutRecord:
    """A record that an action asked for, with the time of the transition that accepted it."""
    return OutRecord(key=emit.key, value=emit.value, headers=tuple(emit.headers.items()), timestamp_ms=now)


def command(codec: Codec, order: ActionCommand, encoding: Encoding, trace: str | None) -> OutRecord:
    """An order to a worker, in the encoding that its action asks for."""
    plain = encoding is Encoding.JSON
    return OutRecord(
        key=order.run_id.encode(),
        value=codecs.to_json(order) if plain else codec.encode(order),
        headers=headers.cloud_event(
            "ActionCommand",
            order.command_id,
            SOURCE,
            order.issued_at,
            content_type=headers.JSON if plain else headers.AVRO,
            trace=trace,
        ),
    )


def size(record: OutRecord) -> int:
    """The most bytes a record takes inside a batch."""
    return record.size + RECORD_OVERHEAD
