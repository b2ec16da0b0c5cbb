"""T19: what is as large as it may be, a byte larger, and far too large, wherever anybody may hand something in."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus
from pathlib import Path
from random import Random

import httpx
from aiokafka import AIOKafkaProducer

from actionbus.client import Client
from actionbus.contracts.errors import PayloadTooLarge, RunFailed, RunMissing
from actionbus.contracts.limits import DEFAULT_LIMITS
from actionbus.contracts.records import InRecord
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.contracts.topics import Topics
from actionbus.kafka.codec import Codec
from actionbus.kafka.partitioning import partition_for
from actionbus.kafka.reader import PartitionReader
from faults.fault import Fault, Outcome
from faults.ground import Ground
from faults.house import EMITTED, House, Setting, judged, opened
from integration import books

APP = Path(__file__).parents[1] / "parcel_app.py"
LIMIT = DEFAULT_LIMITS.payload_bytes
HUGE = 10 * 1_048_576
NARROW_BYTES = 20_000  # the largest batch of a topic of somebody else's
BATCH = 1_047_900  # of a foreign record: nearly all that a broker takes
AT_A_TIME = 10
PATIENCE_SECONDS = 300.0  # far above what is normal
NARROW = f"{EMITTED}-narrow"
SETTING = Setting(
    orchestrators=1,
    workers=1,
    projectors=1,
    gateways=1,
    app=APP,
    topics={NARROW: {"max.message.bytes": str(NARROW_BYTES)}},
)
AROUND = len('{"label":"","text":""}')

HEADERS: Mapping[str, Callable[[], list[tuple[str, bytes]]]] = {
    "thousands": lambda: [(f"header-{n}", b"x" * 20) for n in range(5_000)],
    "tiny ones": lambda: [("a", b"")] * (BATCH // 3),
    "a mebibyte": lambda: [("a", b"x" * BATCH)],
    "no ASCII": lambda: [("\ufffd" * (BATCH // 3), b"")],
}


@dataclass
class Post:
    """Hands in, and keeps what should have become of it."""

    house: House
    client: Client
    http: httpx.AsyncClient
    plain: AIOKafkaProducer
    packed: AIOKafkaProducer
    """Compresses, so that what it writes may be larger than what a broker takes."""
    wrong: list[str] = field(default_factory=list)
    absent: set[str] = field(default_factory=set)
    """Runs that must not have begun."""
    published: dict[str, int] = field(default_factory=dict)
    """How many records of a run have to be on the narrow topic."""
    bombs: list[tuple[str, int, int]] = field(default_factory=list)
    """Where the records are of which each must be a dead letter."""

    def __post_init__(self) -> None:
        self.topics = Topics(self.house.installation.prefix)
        self.narrow = f"{self.topics.prefix}-{NARROW}"

    async def ends(self, run_id: str, wanted: str) -> None:
        """Wait for the end of a run: COMPLETED, or the type of its failure."""
        found = ""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not found:
                try:
                    await self.client.handle(run_id).result()
                    found = "COMPLETED"
                except RunFailed as failed:
                    found = f"{failed.status}: {failed.reason}"
                except RunMissing:
                    await asyncio.sleep(0.2)  # its start is on its way
        if wanted not in found:
            self.wrong.append(f"{run_id} should be {wanted}, is {found}")

    async def put(self, topic: str, key: bytes, value: bytes, *, packed: bool = False, headers=(), shard=None) -> None:
        """Write a record as a foreign client does; ``shard`` None: one that is drawn, and it has to be a dead letter."""
        producer = self.packed if packed else self.plain
        number = self.house.chance.randrange(self.house.setting.shards) if shard is None else shard
        sent = await producer.send_and_wait(topic, value, key=key, partition=number, headers=list(headers))
        if shard is None:
            self.bombs.append((topic, sent.partition, sent.offset))


Case = Callable[[Post, str], Awaitable[None]]


def _input(size: int) -> dict[str, str]:
    """The input of a run, so many bytes in JSON."""
    return {"label": "", "text": "x" * (size - AROUND)}


async def _by_client(size: int, post: Post, run_id: str) -> None:
    try:
        await post.client.start("bring", _input(size), run_id=run_id)
    except PayloadTooLarge:
        post.absent.add(run_id)
        if size <= LIMIT:
            post.wrong.append(f"{run_id}: {size} bytes are refused")
    else:
        await post.ends(run_id, "COMPLETED" if size <= LIMIT else "a refusal")


async def _by_gateway(size: int, post: Post, run_id: str) -> None:
    body = {"workflow": "bring", "run_id": run_id, "input": _input(size)}
    answer = await post.http.post("/v1/runs", json=body)
    if size <= LIMIT:
        if not answer.is_success:
            post.wrong.append(f"{run_id}: {size} bytes get {answer.status_code}")
        await post.ends(run_id, "COMPLETED")
    else:
        post.absent.add(run_id)
        if answer.status_code != HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            post.wrong.append(f"{run_id}: {size} bytes get {answer.status_code}")


async def _by_foreigner(size: int, post: Post, run_id: str) -> None:
    """A request that no client of ours would write."""
    payload = json.dumps(_input(size), separators=(",", ":")).encode()
    request = WorkflowRequest(
        request_id=run_id, run_id=run_id, kind=RequestKind.START, workflow="bring", payload=payload
    )
    key = run_id.encode()
    shard = partition_for(key, post.house.setting.shards)
    await post.put(post.topics.requests, key, Codec().encode(request), packed=size > LIMIT, shard=shard)
    if size <= LIMIT:
        await post.ends(run_id, "COMPLETED")
    else:
        post.absent.add(run_id)


async def _result(size: int, post: Post, run_id: str) -> None:
    await post.client.start("fetching", size, run_id=run_id)
    await post.ends(run_id, "COMPLETED" if size <= LIMIT else "ResultTooLarge")


async def _emit(workflow: str, size: int, wanted: str, post: Post, run_id: str) -> None:
    post.published[run_id] = int(wanted == "COMPLETED")
    await post.client.start(workflow, size, run_id=run_id)
    await post.ends(run_id, wanted)


async def _nonsense(topic: str, kind: str, post: Post, run_id: str) -> None:
    """No record of ours, and more headers than a letter of it could have."""
    await post.put(_topic(post, topic), run_id.encode(), b"nonsense", headers=HEADERS[kind]())


async def _bloated(topic: str, post: Post, run_id: str) -> None:
    """Ten mebibytes in one small batch."""
    await post.put(_topic(post, topic), run_id.encode(), b"x" * HUGE, packed=True)


async def _innocent(kind: str, post: Post, run_id: str) -> None:
    """A transfer that somebody starts with such headers, now and then on a partition that is not its own."""
    del run_id
    number, transfer = post.house.load.adopt()
    request = WorkflowRequest(
        request_id=f"start-{number}",
        run_id=transfer,
        kind=RequestKind.START,
        workflow="transfer",
        payload=json.dumps({"number": number}).encode(),
    )
    shard = post.house.chance.randrange(post.house.setting.shards)
    headers = [(name, value[: BATCH - 10_000]) for name, value in HEADERS[kind]()]
    await post.put(post.topics.requests, transfer.encode(), Codec().encode(request), headers=headers, shard=shard)


def _topic(post: Post, topic: str) -> str:
    return post.topics.commands("weigh") if topic == "commands" else getattr(post.topics, topic)


EMITTING = ("telling", "passing", "delaying")  # by an action, by a run, and by a timer of a run
TOPICS = ("requests", "results", "commands")
CASES: tuple[Case, ...] = (
    *(partial(door, size) for door in (_by_client, _by_gateway) for size in (LIMIT - 1, LIMIT, LIMIT + 1, HUGE)),
    *(partial(_by_foreigner, size) for size in (LIMIT, LIMIT + 1, HUGE)),
    *(partial(_result, size) for size in (LIMIT - 1, LIMIT, LIMIT + 1, HUGE)),
    *(partial(_emit, each, NARROW_BYTES - 1_000, "COMPLETED") for each in EMITTING),
    *(partial(_emit, each, NARROW_BYTES, "EmitRefused") for each in EMITTING),
    partial(_emit, "telling", HUGE, "ResultTooLarge"),
    *(partial(_nonsense, topic, kind) for topic in TOPICS for kind in HEADERS),
    *(partial(_bloated, topic) for topic in TOPICS),
    *(partial(_innocent, kind) for kind in ("thousands", "a mebibyte")),
)


async def sized(
    ground: Ground,
    count: int,
    chance: Random,
    cases: tuple[Case, ...] = CASES,
    *,
    environment: Mapping[str, str] | None = None,
    patience: float = PATIENCE_SECONDS,
) -> Outcome:
    """So many of the cases, each as often as any other, some at a time."""
    with ground.room("sized") as room:
        setting = replace(SETTING, environment=environment or {})
        async with opened(ground, room, ground.cluster(1), chance, setting) as house:
            drawn = [each for _ in range(-(-count // len(cases))) for each in chance.sample(cases, len(cases))][:count]
            wrong = await _handed_in(house, drawn, patience)
            outcome = await judged(house)
    if wrong:
        outcome.faults.setdefault("disordered", []).extend(wrong)
    return outcome


async def _handed_in(house: House, drawn: list[Case], patience: float) -> list[str]:
    """What is wrong with what became of all of it."""
    made = house.installation
    port = house.gateways[0].environment["ACTIONBUS_GATEWAY_PORT"]
    writing = {"bootstrap_servers": made.bootstrap, "max_request_size": 3 * HUGE, "max_batch_size": 1_024}
    async with (
        Client(made.connection, prefix=made.prefix) as client,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_SECONDS) as http,
        AIOKafkaProducer(**writing) as plain,
        AIOKafkaProducer(**writing, compression_type="gzip") as packed,
    ):
        post = Post(house, client, http, plain, packed)
        for begin in range(0, len(drawn), AT_A_TIME):
            some = drawn[begin : begin + AT_A_TIME]
            await asyncio.gather(*(case(post, f"parcel-{begin + n}") for n, case in enumerate(some)))
            house.struck(len(some))
        await house.recovered()
        return [*post.wrong, *await _found(post, patience)]


async def _found(post: Post, patience: float) -> list[str]:
    """What is in the topics and should not be, or the other way round; and who has died of it."""
    made, shards = post.house.installation, post.house.setting.shards
    published = await books.read(made.connection, made.prefix, shards)
    begun = {life.rpartition(":")[0] for life in published.versions} | published.states.keys()
    wrong = [f"{run_id} has begun" for run_id in sorted(post.absent & begun)]
    async with PartitionReader(made.connection) as reader:
        told = [
            record
            for shard in range(shards)
            async for page in reader.read_to_end(post.narrow, shard)
            for record in page
        ]
        wanted = sum(post.published.values())
        if len(told) != wanted:
            wrong.append(f"{len(told)} records on the narrow topic instead of {wanted}")
        topics = [post.topics.dead_letters, post.topics.action_dead_letters("weigh")]
        for _ in range(round(patience)):
            letters = [
                _place(record)
                for topic in topics
                for partition in range(shards)
                async for page in reader.read_to_end(topic, partition)
                for record in page
            ]
            if set(letters) >= set(post.bombs):
                break
            await asyncio.sleep(1)
    wrong += [f"{place} has {letters.count(place)} letters" for place in post.bombs if letters.count(place) != 1]
    return wrong + [
        f"{each.name} has ended: {each.output[-300:]}"
        for each in made.services
        if each.process is not None and each.process.poll() is not None
    ]


def _place(letter: InRecord) -> tuple[str, int, int]:
    """Where the record of a letter was found."""
    topic, partition, offset = (
        (letter.header(f"actionbus-dlq-original-{each}") or b"").decode() for each in ("topic", "partition", "offset")
    )
    return topic, int(partition), int(offset)


FAULTS = (
    Fault(
        id="T19",
        name="sizes",
        what="inputs a byte below, at and above the limit and of 10 MiB, by a client, over HTTP and from a stranger; "
        "results of these sizes; records for a topic that takes less than ours do, by an action, a run and a timer; strangers' "
        "records with thousands of headers, with a mebibyte of them, and of 10 MiB, on requests, results and commands; "
        "disordered: a run that began or ended otherwise than its size says, a stranger's record without its one dead "
        "letter, a process that ended",
        play=sized,
        short=len(CASES),
        each=100,
        published=100,
        full=100,
    ),
)
