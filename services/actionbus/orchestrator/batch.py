"""A fold made ready to be written, and the one transaction that writes it."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from actionbus.contracts.errors import BatchTooLarge
from actionbus.contracts.positions import ShardPosition
from actionbus.contracts.records import OutRecord
from actionbus.contracts.run import WorkflowRun
from actionbus.kafka.partitioning import partition_for
from actionbus.orchestrator import records
from actionbus.orchestrator.charter import Charter
from actionbus.orchestrator.fold import Fold
from actionbus.orchestrator.log import Place, Writer
from actionbus.orchestrator.store import Change, Mark
from actionbus.process import crashing


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Everything of one transaction, as bytes."""

    position: ShardPosition
    changes: Mapping[str, Change]
    state: list[OutRecord]  # the position is the last of them
    events: list[OutRecord]
    others: Mapping[Place, list[OutRecord]]

    @property
    def runs(self) -> list[WorkflowRun]:
        """The runs as they stand after the batch."""
        return [change.run for change in self.changes.values() if change.run is not None]


def seal(charter: Charter, fold: Fold, position: ShardPosition) -> Batch:
    """Encode a fold; raises BatchTooLarge when the states do not fit one record batch."""
    changes: dict[str, Change] = {}
    state: list[OutRecord] = []
    size = 0
    for run_id in fold.touched:
        record = _state(charter, fold, run_id)
        changes[run_id] = Change(run=fold.touched[run_id], value=record.value)
        state.append(record)
        size += records.size(record)
    state.append(records.position(charter.codec, charter.shard, position))
    size += records.size(state[-1])
    if size > charter.limits.batch_bytes:
        raise BatchTooLarge(f"{len(state)} state records of {size} bytes do not fit one record batch")
    return Batch(
        position=position,
        changes=changes,
        state=state,
        events=[records.event(charter.codec, each.event, each.trace) for each in fold.events],
        others=_others(charter, fold),
    )


async def write(charter: Charter, writer: Writer, batch: Batch) -> Mark:
    """Write a batch in one transaction; raises BatchTooLarge before anything was sent, Doubt after that."""
    shard, topics = charter.shard, charter.topics
    crashing.visit(crashing.Point.BEFORE_TRANSACTION)
    writer.begin()
    try:
        # One record batch, the position last: a transaction that is torn apart cannot part a run from its position.
        writer.append(topics.state, shard, batch.state)
        writer.append_split(topics.events, shard, batch.events)
        for (topic, partition), waiting in batch.others.items():
            writer.append_split(topic, partition, waiting)
    except BatchTooLarge:
        writer.abort()
        raise
    offsets = await writer.commit()
    value = batch.state[-1].value or b""
    return Mark(offset=offsets[topics.state, shard] + len(batch.state) - 1, value=value)


def _state(charter: Charter, fold: Fold, run_id: str) -> OutRecord:
    run = fold.touched[run_id]
    if run is None:
        return records.forgotten(run_id)
    record = records.state(charter.codec, run)
    size = len(record.value or b"")
    if size > charter.limits.state_bytes and fold.outgrow(run_id, size):
        return _state(charter, fold, run_id)
    return record


def _others(charter: Charter, fold: Fold) -> Mapping[Place, list[OutRecord]]:
    waiting: defaultdict[Place, list[OutRecord]] = defaultdict(list)
    for topic, partition, record in fold.strays:
        waiting[topic, partition].append(record)
    for letter in fold.letters:
        waiting[charter.topics.dead_letters, charter.shard].append(letter)
    for each in fold.asked:
        record = records.request(charter.codec, each.request, each.trace)
        partition = partition_for(each.request.run_id.encode(), charter.partitions)
        waiting[charter.topics.requests, partition].append(record)
    for each in fold.emits:
        count = charter.destinations.partitions(each.emit.topic) or 1
        key = each.run_id.encode() if each.emit.key is None else each.emit.key
        waiting[each.emit.topic, partition_for(key, count)].append(records.emitted(each.emit, each.at))
    return waiting
