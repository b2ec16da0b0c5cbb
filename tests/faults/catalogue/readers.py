"""Whoever reads what runs publish: projectors and gateways that are killed, and transactions that came to nothing."""

import asyncio

from aiokafka import AIOKafkaProducer

from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.contracts.run import RunStatus
from actionbus.contracts.topics import Topics
from actionbus.kafka.codec import Codec
from actionbus.kafka.partitioning import partition_for
from faults.catalogue.kills import kill
from faults.fault import Fault
from faults.house import House, Setting, under_load

LEFT_OPEN = 5  # one transaction in so many is neither committed nor aborted: its client is gone
TIMEOUT_MS = 1_000  # until the brokers abort it, and up to 10 s more, as often as they look


async def projectors(house: House, count: int) -> None:
    """Kill projectors; runs need none, so it is waited for the one that was killed as well."""
    for _ in range(count):
        await house.pause(0.5)
        victim = house.chance.choice(house.projectors)
        victim.kill()
        house.struck()
        victim.start()
        await asyncio.to_thread(victim.wait_ready)
        await house.recovered()


async def gateways(house: House, count: int) -> None:
    """Kill the gateway that every transfer is started and waited for at."""
    await kill(house, house.gateways, count)


async def aborted(house: House, count: int) -> None:
    """Write the start of a run, and the end of another, in transactions that come to nothing."""
    left: list[AIOKafkaProducer] = []
    try:
        for number in range(count):
            await house.pause(0.5)
            producer = AIOKafkaProducer(
                bootstrap_servers=house.cluster.bootstrap,
                transactional_id=f"{house.installation.prefix}.ghost-{house.injected}",
                transaction_timeout_ms=TIMEOUT_MS,
            )
            await producer.start()
            await producer.begin_transaction()
            for topic, key, value in _ghost(house, f"ghost-{house.injected}-{number}"):
                shard = partition_for(key, house.setting.shards)
                await producer.send_and_wait(topic, value, key=key, partition=shard)
            house.struck()
            if house.chance.randrange(LEFT_OPEN):
                await producer.abort_transaction()
                await producer.stop()
            else:
                left.append(producer)
            await house.recovered()
    finally:
        for producer in left:
            await producer.stop()


def _ghost(house: House, run_id: str) -> list[tuple[str, bytes, bytes]]:
    """Topic, key and value: a start that nobody asked for, and what nobody did to a run that is there."""
    topics, codec = Topics(house.installation.prefix), Codec()
    start = WorkflowRequest(
        request_id="never", run_id=run_id, kind=RequestKind.START, workflow="transfer", payload=b'{"number":0}'
    )
    there = house.chance.choice([*house.load.begun])
    event = WorkflowEvent(
        run_id=there,
        incarnation="never",
        workflow="transfer",
        definition_version="1",
        version=1,
        status=RunStatus.FAILED,
        at=0,
        entries=(EventEntry(kind=EntryKind.RUN_ENDED, data=b"{}"),),
    )
    return [
        (topics.requests, run_id.encode(), codec.encode(start)),
        (topics.events, there.encode(), codec.encode(event)),
    ]


FAULTS = (
    Fault(
        id="T04/projector",
        name="projector killed",
        what="kill -9 of one of two projectors at a random moment, started again at once; in the end the tables that "
        "people read are compared row by row with the topics, windows included",
        play=under_load(projectors, Setting(projectors=2)),
        short=3,
        each=50,
        published=100,
        full=500,
    ),
    Fault(
        id="T04/gateway",
        name="gateway killed",
        what="kill -9 of the gateway at which every transfer is started and waited for, started again at once; clients "
        "ask again with the same request id",
        play=under_load(gateways, Setting(projectors=1, gateways=1)),
        short=3,
        each=50,
        published=100,
        full=500,
    ),
    Fault(
        id="T08/views",
        name="aborted records and readers",
        what="a foreign client writes a start and an event in a transaction that is aborted, or left open and aborted "
        "by the broker; no run begins of it, and no table shows it",
        play=under_load(aborted, Setting(projectors=1)),
        short=3,
        each=50,
        published=50,
        full=200,
    ),
)
