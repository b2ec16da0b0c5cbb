"""The same world on a real broker: owners use the log on Kafka, and the judge reads the topics as anybody may."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Self

from actionbus.contracts.definitions import WorkflowDefinition
from actionbus.contracts.limits import DEFAULT_LIMITS
from actionbus.contracts.records import InRecord, OutRecord
from actionbus.contracts.topics import Topics
from actionbus.kafka.admin import Admin
from actionbus.kafka.codec import Codec
from actionbus.kafka.connection import Connection
from actionbus.kafka.producer import IdempotentProducer
from actionbus.kafka.reader import PartitionReader
from actionbus.orchestrator import charter, clocks, definitions, destinations, shard
from actionbus.orchestrator.kafka_log import KafkaLog
from actionbus.orchestrator.shelf import open_shelf
from actionbus.provisioner import topics as provisioner
from actionbus.testing.network import Fate, Network, Trap
from protocol.world import NONCE_KEY, RETENTION_MS, Worker, World, pair

SECONDS = 240.0  # no test depends on speed


class Snapshot:
    """What the topics held when they were last looked at, in the place of the broker in memory."""

    def __init__(self, producer: IdempotentProducer) -> None:
        self._producer = producer
        self._records: dict[tuple[str, int], list[InRecord]] = {}
        self._sent: list[asyncio.Future[int]] = []

    def append(self, place: tuple[str, int], records: Sequence[OutRecord]) -> None:
        """Write; `look` waits until it is acknowledged."""
        self._sent.append(self._producer.append(*place, records))

    def read(self, place: tuple[str, int], start: int, *, committed: bool = True) -> list[InRecord]:
        """The records from an offset on."""
        del committed  # commands are not written in transactions
        return [each for each in self._records.get(place, []) if each.offset >= start]

    async def look(self, reader: PartitionReader, topics: Sequence[str]) -> None:
        """Read all topics."""
        await asyncio.gather(*self._sent)
        for topic in topics:
            found = self._records.setdefault((topic, 0), [])
            start = found[-1].offset + 1 if found else None  # what was committed never changes
            found += [each async for batch in reader.read_to_end(topic, 0, start=start) for each in batch]


class TrappedLog(KafkaLog):
    """The log on Kafka; before its requests leave, a test may hold or lose them."""

    network: Network
    commit_seconds: float | None = None  # the whole of a commit, where it is not the product's

    async def fence(self, shard: int, slot):
        """Take one id over."""
        await self.network.send("fence", slot, lambda: None)
        writer = await super().fence(shard, slot)
        if self.commit_seconds is not None:
            writer._commit_seconds = self.commit_seconds
        commit = writer.commit

        async def trapped() -> Mapping[tuple[str, int], int]:
            await self.network.send("add", slot, lambda: None)
            return await commit()

        writer.commit = trapped
        return writer

    async def read(self, topic: str, partition: int, start: int) -> AsyncGenerator[list[InRecord]]:
        """Read to the end."""
        await self.network.send("read", topic, lambda: None)
        async for records in super().read(topic, partition, start):
            yield records

    def publish(self, topic: str, partition: int, records: Sequence[OutRecord]) -> asyncio.Future[int]:
        """Publish commands."""

        async def trapped() -> int:
            await self.network.send("publish", topic, lambda: None)
            return await super(TrappedLog, self).publish(topic, partition, records)

        return asyncio.get_running_loop().create_task(trapped())


class KafkaOwner:
    """A process that believes it owns the shard."""

    def __init__(self, world: "KafkaWorld", name: str, connection: Connection | None, folder: Path | None) -> None:
        self._world = world
        self._connection = connection or world.connection
        self.name = name
        self._folder = folder
        self.network = Network()
        self._task: asyncio.Task[None] | None = None
        self.shard: shard.Shard | None = None

    def start(self) -> "KafkaOwner":
        """Begin to take the shard over."""
        self._task = asyncio.create_task(self._run())
        return self

    def trap(self, kind, about: str, fate: Fate) -> Trap:
        """Say what becomes of its next request of a kind."""
        return self.network.trap(kind, about, fate)

    async def crash(self) -> None:
        """Die; nothing that is not sent yet will be."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def leave(self) -> None:
        """Release the shard in good order."""
        assert self.shard is not None
        self.shard.release()
        await self._task

    async def _run(self) -> None:
        world = self._world
        log = TrappedLog(self._connection, world.topics, world.limits)
        log.network, log.commit_seconds = self.network, world.commit_seconds
        async with log:
            clock = clocks.SteadyClock()
            known = definitions.Definitions(
                log, world.topics.definitions, world.codec, limits=world.limits, run_retention_ms=RETENTION_MS
            )
            fields = {} if self._folder is None else {"open_shelf": lambda: open_shelf(self._folder)}
            self.shard = shard.Shard(
                charter.Charter(
                    shard=0,
                    partitions=1,
                    owner=self.name,
                    topics=world.topics,
                    log=log,
                    clock=clock,
                    codec=world.codec,
                    definitions=known,
                    destinations=destinations.Destinations(log.partitions, clock),
                    nonce_key=NONCE_KEY,
                    limits=world.limits,
                    **fields,
                )
            )
            await self.shard.run()


class KafkaWorld(World):
    """One shard on a real broker."""

    commit_seconds: float | None = None
    limits = DEFAULT_LIMITS

    def __init__(self, connection: Connection, prefix: str, *, attempts: int = 1) -> None:
        self.connection = connection
        self.topics = Topics(prefix)
        self.codec = Codec()
        self.graph = pair(attempts)
        self.owners = []
        self.worker = Worker(self)
        self._reader = PartitionReader(connection)
        self._producer = IdempotentProducer(connection)

    async def __aenter__(self) -> Self:
        actions = list(self.graph.actions.values())
        wanted = provisioner.Wanted(
            prefix=self.topics.prefix, actions=actions, shards=1, action_partitions=1, replication=1
        )
        async with Admin(self.connection) as admin:
            await provisioner.apply(admin, await provisioner.look(admin, wanted))
        await self._reader.start()
        await self._producer.start()
        self.broker = Snapshot(self._producer)
        definition = WorkflowDefinition.of(self.graph, deployed_at=0, deployed_by="test")
        self.broker.append(
            (self.topics.definitions, 0), [OutRecord(key=b"pair@1", value=self.codec.encode(definition))]
        )
        await self.look()
        return self

    async def __aexit__(self, *_: object) -> None:
        for owner in self.owners:
            await owner.crash()
        await self._producer.close()
        await self._reader.close()

    def owner(self, name: str, *, connection: Connection | None = None, folder: Path | None = None) -> KafkaOwner:
        """One more who may own the shard."""
        owner = KafkaOwner(self, name, connection, folder)
        self.owners.append(owner)
        return owner

    async def look(self) -> None:
        """See what the topics hold now."""
        topics = [self.topics.requests, self.topics.state, self.topics.events, self.topics.dead_letters]
        await self.broker.look(self._reader, [*topics, *self.command_topics])

    async def until(self, condition, what: str) -> None:
        """Look until a condition holds."""
        async with asyncio.timeout(SECONDS):
            while True:
                await self.look()
                if condition():
                    return
                await asyncio.sleep(0.02)
        raise AssertionError(what)

    async def finish(self, *, runs: int) -> None:
        """Carry commands out until that many runs are there and have ended."""

        def done() -> bool:
            self.worker.work()
            return len(self.runs()) == runs and all(run.status.ended for run in self.runs().values())

        await self.until(done, "all runs have ended")
