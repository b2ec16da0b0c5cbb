"""T08, T11, T12: transactions that nobody ends, and what brokers forget after a while: producers, ids, offsets."""

import asyncio
import time
from random import Random

from aiokafka import AIOKafkaProducer
from aiokafka.protocol.admin import DeleteGroupsRequest, ListGroupsRequest

from actionbus.contracts.errors import Refused
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.contracts.topics import Topics
from actionbus.kafka import coordination
from actionbus.kafka.cluster import Cluster
from actionbus.kafka.codec import Codec
from actionbus.process import metrics
from faults import lone_shard
from faults.fault import Fault, Outcome
from faults.ground import Ground
from faults.house import EMITTED, House, under_load

GHOST_TIMEOUT_MS = 5_000  # after which a broker ends what nobody ends; it looks every ten seconds
# Brokers that forget within seconds what they keep for days.
FORGETFUL = {
    "producer.id.expiration.ms": "2000",
    "producer.id.expiration.check.interval.ms": "500",
    "transactional.id.expiration.ms": "3000",
    "transaction.remove.expired.transaction.cleanup.interval.ms": "500",
}
IDLE_SECONDS = 5.0
FORGET_SECONDS = 120.0  # how long the group of processes that have ended may still have members


async def _hang(house: House, count: int) -> None:
    for _ in range(count):
        await house.pause(0.5)
        await _haunt(house)
        house.struck()
        await house.recovered()


async def _haunt(house: House) -> None:
    """Write starts of runs, and what would be nonsense to all readers, in a transaction; and vanish."""
    made, codec = house.installation, Codec()
    topics = Topics(made.prefix)
    ghost = AIOKafkaProducer(
        bootstrap_servers=made.bootstrap,
        transactional_id=f"ghost-{house.chance.getrandbits(64):x}",
        transaction_timeout_ms=GHOST_TIMEOUT_MS,
    )
    await ghost.start()
    await ghost.begin_transaction()
    sent = []
    for shard in range(made.shards):
        run_id = f"ghost-{house.chance.getrandbits(64):x}"
        start = WorkflowRequest(
            request_id="start", run_id=run_id, kind=RequestKind.START, workflow="transfer", payload=b'{"number": 1}'
        )
        for topic, value in (
            (topics.requests, codec.encode(start)),
            (topics.results, b"nonsense"),
            (topics.state, b"nonsense"),
            (topics.events, b"nonsense"),
            (f"{made.prefix}-{EMITTED}", b"{}"),
        ):
            sent.append(await ghost.send(topic, value, key=run_id.encode(), partition=shard))
    await asyncio.gather(*sent)
    await ghost.stop()  # it says nothing of the open transaction


async def expired(ground: Ground, count: int, chance: Random) -> Outcome:
    """T11: the brokers forget producers and transactional ids while a shard is idle, and then there is work."""
    with ground.room("expired") as room, ground.own_cluster(room, 1, FORGETFUL) as cluster:
        async with lone_shard.opened(cluster, room.name, chance) as shard:
            while shard.injected < count:
                await shard.rest()
                await asyncio.sleep(IDLE_SECONDS + chance.uniform(0, 1))
                before, began = _rebuilds(), time.monotonic()
                shard.idle = False
                # Where the brokers have not forgotten yet, it was no fault and is not counted.
                await shard.recovered(began, lambda before=before: _rebuilds() > before)
            return await shard.judged()


def _rebuilds() -> float:
    return sum(sample.value for each in metrics.PRODUCER_REBUILDS.collect() for sample in each.samples)


async def _forget(house: House, count: int) -> None:
    """End every process, delete every group with its offsets, and start all of them again."""
    for _ in range(count):
        await house.pause(0.5)
        for service in house.services:
            if house.chance.random() < 0.5:
                service.kill()
            else:
                await asyncio.to_thread(service.stop)
        await _delete_groups(house)
        house.struck()
        for service in house.services:
            service.start()
        await house.recovered()


async def _delete_groups(house: House) -> None:
    made = house.installation
    async with Cluster(made.connection) as brokers, asyncio.timeout(FORGET_SECONDS):
        reply = await brokers.send(brokers.any_node(), ListGroupsRequest())
        groups = sorted(name for name, *_ in reply.groups if name.startswith(f"{made.prefix}."))
        assert Topics(made.prefix).orchestrator_group in groups
        assert Topics(made.prefix).worker_group("withdraw") in groups
        for group in groups:
            while True:
                request = DeleteGroupsRequest([group])
                try:
                    await coordination.ask(brokers, group, request, lambda reply: {code for _, code in reply.results})
                except Refused:  # whoever was killed is a member until its session is over
                    await asyncio.sleep(0.2)
                else:
                    break


FAULTS = (
    Fault(
        id="T08",
        name="transaction that nobody ends",
        what="a stranger writes to the requests, results, state, events and emitted records of every shard in a "
        f"transaction with a timeout of {GHOST_TIMEOUT_MS // 1000} s, and vanishes; brokers look for such every ten "
        "seconds, and until then no shard reads on",
        play=under_load(_hang),
        short=1,
        each=10,
        published=20,
        full=20,
    ),
    Fault(
        id="T11",
        name="producers forgotten",
        what="the brokers forget producers after 2 s and transactional ids after 3 s, while a shard is idle for more "
        "than 5 s; then there is work",
        play=expired,
        short=1,
        each=25,
        published=50,
        full=50,
        needs=("java",),
    ),
    Fault(
        id="T12",
        name="groups forgotten",
        what="all processes are stopped or killed, all their consumer groups deleted with their offsets, and all "
        "processes started again",
        play=under_load(_forget),
        short=1,
        each=10,
        published=20,
        full=20,
    ),
)
