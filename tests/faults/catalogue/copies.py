"""T01: what Kafka's own test of transactions does to Kafka's clients, done to ours."""

import asyncio
import itertools
import os
import signal
import sys
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from actionbus.contracts.records import OutRecord
from actionbus.kafka.admin import Admin, TopicPlan
from actionbus.kafka.connection import Connection
from actionbus.kafka.producer import IdempotentProducer
from actionbus.kafka.reader import PartitionReader
from faults import copier
from faults.fault import Fault, Outcome
from faults.ground import Ground
from support.apache_kafka import ApacheKafka
from support.commands import die_with_parent
from support.topics import settled, values_by_library

PARTITIONS = 2
SLICE = PARTITIONS * copier.TRANSACTION  # records for each bounce
WITHIN_SECONDS = 0.02  # of a commit that begins: about as long as it takes
QUIET_SECONDS = 300.0
Found = dict[int, list[str]]  # values by partition


@dataclass
class Process:
    """A copier that may be killed, and what it has said."""

    command: list[str]
    environment: dict[str, str]
    at: int = 0
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    moved: asyncio.Event = field(default_factory=asyncio.Event)
    _process: asyncio.subprocess.Process | None = None
    _listening: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it, also one that was ended."""
        self._process = await asyncio.create_subprocess_exec(
            *self.command, stdout=asyncio.subprocess.PIPE, env=self.environment, preexec_fn=die_with_parent
        )
        self._listening = asyncio.create_task(self._listen())

    async def end(self, number: signal.Signals) -> None:
        """End it by a signal, and listen to all it said."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)
        code = await self._process.wait()
        await self._listening
        assert code == (0 if number is signal.SIGTERM else -number), f"the copier ended with {code}"

    async def reached(self, position: int) -> None:
        """Return once it has committed so much."""
        async with asyncio.timeout(QUIET_SECONDS):
            while self.at < position:
                self.moved.clear()
                await self.moved.wait()

    async def _listen(self) -> None:
        async for line in self._process.stdout:
            what, position = line.split()
            if what == b"begin":
                self.begun.set()
            else:
                self.at = int(position)
                self.moved.set()


def copied(*, broker: bool, hard: bool, watched: bool, environment: dict[str, str] | None = None):
    """A round: records are copied while brokers or clients bounce, and then compared with what was to be copied."""

    async def play(ground: Ground, count: int, chance: Random) -> Outcome:
        cluster = ground.cluster(3 if broker else 1)
        connection = Connection(bootstrap_servers=cluster.bootstrap)
        with ground.room("copied") as room:
            name = f"{room.name}-{uuid.uuid4().hex[:8]}"
            async with Admin(connection) as admin:
                await admin.create_topics(
                    [
                        TopicPlan(name=f"{name}-{role}", partitions=PARTITIONS, replication=cluster.size)
                        for role in ("input", "output", "positions")
                    ]
                )
            written = dict.fromkeys(range(PARTITIONS), 0)
            seen: Found = {partition: [] for partition in range(PARTITIONS)}
            recovery: list[int] = []
            async with (
                _copiers(cluster, name, environment or {}) as copiers,
                IdempotentProducer(connection) as producer,
                _watching(connection, f"{name}-output", seen if watched else {}),
            ):
                while (left := count - sum(written.values())) > 0:
                    began = await _bounced(
                        cluster,
                        copiers,
                        chance,
                        broker=broker,
                        hard=hard,
                        feeding=_feed(producer, f"{name}-input", written, min(left, SLICE)),
                    )
                    for partition, process in copiers.items():
                        await process.reached(written[partition])
                    recovery.append(round((time.monotonic() - began) * 1000))
                found = await _read(connection, f"{name}-output")
                if watched:
                    await _caught_up(seen, found)
            faults = _compare(written, found, seen if watched else found)
            for partition, values in found.items():
                witness = await values_by_library(connection, f"{name}-output", partition, count=len(values))
                if witness != values:
                    faults.setdefault("disordered", []).append(f"the library reads partition {partition} otherwise")
            positions = await _read(connection, f"{name}-positions")
            return Outcome(
                injected=count,
                workflows=count,
                steps=sum(map(len, positions.values())),
                effects=sum(map(len, found.values())),
                faults=faults,
                recovery_ms=tuple(recovery),
            )

    return play


async def _feed(producer: IdempotentProducer, topic: str, written: dict[int, int], count: int) -> None:
    """Write so many more records, a share of them to each partition."""
    shares = [count // PARTITIONS + (partition < count % PARTITIONS) for partition in range(PARTITIONS)]
    for partition, share in enumerate(shares):
        values = [f"{partition}:{number}" for number in range(written[partition], written[partition] + share)]
        records = [OutRecord(key=b"k", value=value.encode()) for value in values]
        if records:
            await producer.append(topic, partition, records)
        written[partition] += share


async def _bounced(
    cluster: ApacheKafka, copiers: dict[int, Process], chance: Random, *, broker: bool, hard: bool, feeding
) -> float:
    """Strike a broker or a copier while a transaction is being written, and start it again; when it was struck."""
    process = copiers[chance.randrange(PARTITIONS)]
    process.begun.clear()
    await feeding
    async with asyncio.timeout(QUIET_SECONDS):
        await process.begun.wait()
    await asyncio.sleep(chance.uniform(0, WITHIN_SECONDS))
    began = time.monotonic()
    if broker:
        node = chance.choice(cluster.nodes)
        await asyncio.to_thread(cluster.kill_node if hard else cluster.stop_node, node)
        cluster.start_node(node, wait=False)
        await asyncio.to_thread(cluster.wait_for, node)
    else:
        await process.end(signal.SIGKILL if hard else signal.SIGTERM)
        await process.start()
    return began


@asynccontextmanager
async def _copiers(cluster: ApacheKafka, name: str, environment: dict[str, str]) -> AsyncIterator[dict[int, Process]]:
    command = [sys.executable, str(Path(copier.__file__)), cluster.bootstrap, name]
    made = {number: Process([*command, str(number)], {**os.environ, **environment}) for number in range(PARTITIONS)}
    for process in made.values():
        await process.start()
    try:
        yield made
    finally:
        for process in made.values():
            await process.end(signal.SIGKILL)


@asynccontextmanager
async def _watching(connection: Connection, topic: str, seen: Found) -> AsyncIterator[None]:
    """Somebody reads what is committed while it is written; nobody, where there is nowhere to put it."""

    async def watch() -> None:
        async with PartitionReader(connection) as reader:
            async for page in reader.follow({(topic, partition): 0 for partition in seen}):
                seen[page[0].partition] += [record.value.decode() for record in page]

    task = asyncio.create_task(watch()) if seen else None
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _read(connection: Connection, topic: str) -> Found:
    """All that is committed; a commit is acknowledged before its markers stand in every partition."""
    async with PartitionReader(connection) as reader, asyncio.timeout(QUIET_SECONDS):
        await settled(connection, [(topic, partition) for partition in range(PARTITIONS)])
        return {
            partition: [r.value.decode() async for page in reader.read_to_end(topic, partition) for r in page]
            for partition in range(PARTITIONS)
        }


async def _caught_up(seen: Found, found: Found) -> None:
    with suppress(TimeoutError):  # what it has not seen is said by who compares
        async with asyncio.timeout(QUIET_SECONDS):
            while any(len(seen[partition]) < len(values) for partition, values in found.items()):  # noqa: ASYNC110 - a list has no event
                await asyncio.sleep(0.02)


def _compare(written: dict[int, int], found: Found, seen: Found) -> dict[str, list[str]]:
    """What was to be copied, what is there, and what somebody saw meanwhile: all the same, and in the same order."""
    faults: dict[str, list[str]] = {}
    for partition, number in written.items():
        wanted = [f"{partition}:{each}" for each in range(number)]
        counts = Counter(found[partition])
        missing, strange = set(wanted) - counts.keys(), counts.keys() - set(wanted)
        for kind, texts in (
            ("lost", sorted(missing)),
            ("doubled", [f"{value} x{times}" for value, times in counts.items() if times > 1]),
            ("partial", sorted(strange)),
        ):
            faults.setdefault(kind, []).extend(texts)
        if list(dict.fromkeys(found[partition])) != [each for each in wanted if each not in missing]:
            faults.setdefault("disordered", []).append(f"partition {partition} is in another order")
        if seen[partition] != found[partition]:
            faults.setdefault("disordered", []).append(f"who read partition {partition} meanwhile saw something else")
    return {kind: texts for kind, texts in faults.items() if texts}


def _cell(*, broker: bool, hard: bool, watched: bool) -> Fault:
    whom, how = ("broker" if broker else "client"), ("hard" if hard else "clean")
    victim = "one of three brokers" if broker else "the process that copies"
    meanwhile = "while somebody reads what is committed" if watched else "with nobody reading meanwhile"
    return Fault(
        id=f"T01/{whom}-{how}{'-read' if watched else ''}",
        name=f"copying, {whom} bounced {how}",
        what=f"records (the figure counts them) are copied with their position in transactions of {copier.TRANSACTION}, "
        f"and in every {SLICE} of them {victim} is {'killed' if hard else 'stopped'} within a transaction and started "
        f"again, {meanwhile}",
        play=copied(broker=broker, hard=hard, watched=watched),
        short=SLICE,
        each=12_500,
        published=12_500,
        full=100_000,
        needs=("java",),
    )


FAULTS = tuple(
    _cell(broker=broker, hard=hard, watched=watched)
    for broker, hard, watched in itertools.product((False, True), (True, False), (False, True))
)
