"""Events as orchestrators write them: in transactions, each run on its own partition."""

import itertools

from aiokafka import AIOKafkaProducer

from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.contracts.records import OutRecord
from actionbus.contracts.run import RunStatus
from actionbus.contracts.topics import Topics
from actionbus.kafka.admin import Admin, TopicPlan
from actionbus.kafka.codec import Codec
from actionbus.kafka.partitioning import partition_for
from actionbus.kafka.transaction import TransactionalProducer

CODEC = Codec()
PARTITIONS = 4
BEGIN = 1_800_000_000_000
STEPS = 5


async def topics(connection, prefix: str) -> Topics:
    """The topics that a projector reads, and nothing else."""
    names = Topics(prefix)
    async with Admin(connection) as admin:
        await admin.create_topics(
            [
                TopicPlan(name=names.events, partitions=PARTITIONS, settings={}),
                TopicPlan(name=names.state, partitions=PARTITIONS, settings={"cleanup.policy": "compact"}),
                TopicPlan(name=names.definitions, partitions=1, settings={"cleanup.policy": "compact"}),
            ]
        )
    return names


def run(number: int, *, steps: int = STEPS, ends: bool = True) -> list[WorkflowEvent]:
    """The events of a run: started, its steps one after the other, ended; every seventh fails."""
    at, fails = BEGIN + number * 1_000, number % 7 == 3
    told = [[_entry(EntryKind.RUN_STARTED, data=b'{"customer":"c-1"}'), _scheduled(0)]]
    for step in range(steps):
        done = _entry(EntryKind.STEP_SUCCEEDED, step=f"s{step}", action=f"act-{step}", attempt=1, data=b'{"n":1}')
        told.append([done] if step + 1 == steps else [done, _scheduled(step + 1)])
    if ends:
        error = b'{"message":"it broke","retryable":false,"type":"Oops"}'
        told[-1].append(_entry(EntryKind.RUN_ENDED, data=error if fails else b"{}"))
    status = RunStatus.FAILED if fails else RunStatus.COMPLETED
    return [
        WorkflowEvent(
            run_id=f"run-{number:07}",
            incarnation=f"{number:x}",
            workflow=f"flow-{number % 3}",
            definition_version="1",
            version=version,
            status=status if ends and version == len(told) else RunStatus.RUNNING,
            at=at + version * 10,
            entries=tuple(entries),
        )
        for version, entries in enumerate(told, start=1)
    ]


def _entry(kind: EntryKind, **more) -> EventEntry:
    return EventEntry(kind=kind, **more)


def _scheduled(step: int) -> EventEntry:
    return _entry(EntryKind.STEP_SCHEDULED, step=f"s{step}", action=f"act-{step}", attempt=1, data=b'{"n":1}')


def interleaved(first: int, count: int, *, at_once: int = 100, **more) -> list[WorkflowEvent]:
    """The events of many runs, as they come when so many are under way."""
    found: list[WorkflowEvent] = []
    for begin in range(first, first + count, at_once):
        group = [run(number, **more) for number in range(begin, min(begin + at_once, first + count))]
        found += [event for row in itertools.zip_longest(*group) for event in row if event is not None]
    return found


async def write(connection, names: Topics, events: list[WorkflowEvent], *, batch: int = 300) -> None:
    """Write events in transactions of so many."""
    producer = TransactionalProducer(connection, f"{names.prefix}.test")
    await producer.start()
    for begin in range(0, len(events), batch):
        by_partition: dict[int, list[OutRecord]] = {}
        for event in events[begin : begin + batch]:
            key = event.run_id.encode()
            record = OutRecord(key=key, value=CODEC.encode(event))
            by_partition.setdefault(partition_for(key, PARTITIONS), []).append(record)
        producer.begin()
        for partition, records in by_partition.items():
            producer.append_split(names.events, partition, records)
        await producer.commit()
    await producer.close()


async def abort(connection, names: Topics, events: list[WorkflowEvent]) -> None:
    """Write events in a transaction that is then aborted."""
    producer = AIOKafkaProducer(
        bootstrap_servers=connection.bootstrap_servers, transactional_id=f"{names.prefix}.aborts"
    )
    await producer.start()
    await producer.begin_transaction()
    for event in events:
        key = event.run_id.encode()
        await producer.send_and_wait(
            names.events, CODEC.encode(event), key=key, partition=partition_for(key, PARTITIONS)
        )
    await producer.abort_transaction()
    await producer.stop()


async def plainly(connection, names: Topics, values: list[bytes]) -> None:
    """Write bytes as they are to partition 0."""
    producer = AIOKafkaProducer(bootstrap_servers=connection.bootstrap_servers)
    await producer.start()
    for value in values:
        await producer.send_and_wait(names.events, value, partition=0)
    await producer.stop()
