"""T18: records on partitions that are not those of their keys, and topics to which somebody adds partitions."""

import asyncio
import json
import time
import zlib
from random import Random

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from actionbus.contracts import payloads
from actionbus.contracts.records import OutRecord
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.contracts.topics import Topics
from actionbus.kafka.codec import Codec
from actionbus.kafka.partitioning import partition_for
from actionbus.kafka.producer import IdempotentProducer
from actionbus.orchestrator.shard import Stage
from faults.fault import Fault, Outcome
from faults.ground import Ground
from faults.house import House, Setting, judged, opened, under_load
from integration.installation import ENDED_SECONDS, Service

MISROUTED = "actionbus_misrouted_records_total"
NOTICED_SECONDS = 240.0  # far above what is normal
GROWN = 8


async def misrouted(house: House, count: int) -> None:
    """Start transfers as a client with librdkafka's own partitioner does, where that is another one's partition."""
    topics, codec, shards = Topics(house.installation.prefix), Codec(), house.setting.shards
    before = _counted(house)
    sent = 0
    async with IdempotentProducer(house.installation.connection) as producer:
        while sent < count:
            number, run_id = house.load.adopt()
            key = run_id.encode()
            request = WorkflowRequest(
                request_id=f"start-{number}",
                run_id=run_id,
                kind=RequestKind.START,
                workflow="transfer",
                payload=payloads.encode({"number": number}),
            )
            shard = zlib.crc32(key) % shards
            await producer.append(topics.requests, shard, [OutRecord(key=key, value=codec.encode(request))])
            if shard != partition_for(key, shards):
                sent += 1
                house.struck()
            if house.chance.random() < 0.2:
                await house.pause(0.2)
    await house.recovered()
    async with asyncio.timeout(NOTICED_SECONDS):
        while _counted(house) - before < count:  # noqa: ASYNC110 - a metric tells nobody that it changes
            await asyncio.sleep(0.2)


def _counted(house: House) -> float:
    """How many misrouted records the living processes have found."""
    return sum(each.metric(MISROUTED) for each in house.installation.services)


async def added(ground: Ground, count: int, chance: Random) -> Outcome:
    """Each time another installation, because none survives it: its orchestrators refuse to go on."""
    outcomes = [await _grown(ground, chance) for _ in range(count)]
    return Outcome(
        injected=count,
        workflows=sum(each.workflows for each in outcomes),
        steps=sum(each.steps for each in outcomes),
        effects=sum(each.effects for each in outcomes),
        unfinished=sum(each.unfinished for each in outcomes),
        doubted=sum(each.doubted for each in outcomes),
        faults={kind: texts for each in outcomes for kind, texts in each.faults.items()},
    )


async def _grown(ground: Ground, chance: Random) -> Outcome:
    with ground.room("added") as room:
        async with opened(ground, room, ground.cluster(1), chance, Setting(workers=1)) as house:
            await house.load.ended(20)
            await house.load.finish()
            topics = Topics(house.installation.prefix)
            every = [topics.requests, topics.results, topics.state, topics.events]
            some = chance.sample(every, chance.choice((1, 2, 3, 4, 4, 4)))
            await _grow(house.cluster.bootstrap, some)
            wrong = []
            for each in house.orchestrators:
                each.kill()
                each.start()
            for each in house.orchestrators:
                wrong += await asyncio.to_thread(_unsaid, each, all_grown=len(some) == len(every))
            outcome = await judged(house)
    if wrong:
        outcome.faults.setdefault("disordered", []).extend(wrong)
    return outcome


async def _grow(bootstrap: str, topics: list[str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_partitions({topic: NewPartitions(GROWN) for topic in topics})
    finally:
        await admin.close()


def _unsaid(service: Service, *, all_grown: bool) -> list[str]:
    """What an orchestrator should do and does not: end with the reason, or serve no shard and say why of each."""
    assert service.process is not None
    if not all_grown:
        code = service.process.wait(ENDED_SECONDS)
        said = json.loads(service.output.splitlines()[-1])["error"]
        right = code == 2 and "must have the same number of partitions" in said
        return [] if right else [f"{service.name} ended with {code}: {said}"]
    until = time.monotonic() + NOTICED_SECONDS
    while time.monotonic() < until:
        status, page = service.get("/ready")
        owned = service.metric("actionbus_shards_owned")  # an alert looks at this
        if (
            status == 503
            and not owned
            and 0 < page.count(Stage.HALTED.value) == page.count("made with 4 shards") == page.count("shard ")
        ):
            return []
        time.sleep(0.2)
    return [f"{service.name} does not refuse its shards: {service.get('/ready')}"]


FAULTS = (
    Fault(
        id="T18/misrouted",
        name="records on wrong partitions",
        what="starts written to the partition that CRC32 of the run id gives, as clients on librdkafka do by default, "
        "where murmur2 gives another one",
        play=under_load(misrouted),
        short=20,
        each=250,
        published=1_000,
        full=10_000,
    ),
    Fault(
        id="T18/added",
        name="partitions added",
        what="one or more of the four topics of the shards get more partitions beside a living installation, and its "
        "orchestrators are killed: those that start anew end with the reason, or serve no shard and say why",
        play=added,
        short=1,
        each=5,
        published=10,
        full=20,
    ),
)
