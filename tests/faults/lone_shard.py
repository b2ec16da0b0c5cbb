"""One shard in this process, on Kafka behind a proxy, that never rests: for faults of a single transaction.

Its oracle counts what any reader of committed records sees: every run, event, position and emitted record.
"""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from random import Random

from actionbus.contracts import identifiers
from actionbus.contracts.commands import ActionCommand
from actionbus.contracts.identifiers import POSITION_KEY
from actionbus.contracts.limits import Limits
from actionbus.contracts.results import ActionResult, Emit
from actionbus.contracts.run import RunStatus, WorkflowRun
from actionbus.kafka.admin import Admin, TopicPlan
from actionbus.kafka.connection import Connection
from actionbus.kafka.reader import PartitionReader
from faults.fault import Outcome
from protocol.kafka_world import KafkaWorld
from protocol.world import Violated, Worker
from support import deadlines, proxy
from support.apache_kafka import ApacheKafka

# What the first step of a run emits needs more than one record batch, so its transaction is written by several requests.
LIMITS = Limits(batch_bytes=65_536)
PARTS, PART_BYTES = 4, 24_000
IN_FLIGHT = 3
COMMIT_SECONDS = 119.0  # a deadline of its own, which is met only when a fault brings it forward
QUIET_SECONDS = 300.0  # far above what is normal: slowness is not a fault, a hang is


class Teller(Worker):
    """A worker whose emitted records say which run they are of."""

    def execute(self, command: ActionCommand) -> ActionResult:
        """Carry a command out; the result is not sent yet."""
        result = super().execute(command)
        return result.replace(emits=tuple(each.replace(key=command.run_id.encode()) for each in result.emits))


class LoneShard:
    """Runs are started without a pause, carried out, and counted."""

    def __init__(self, world: KafkaWorld, wire: proxy.Proxy, chance: Random, commits: list[asyncio.Timeout]) -> None:
        self.world = world
        self.wire = wire
        self.chance = chance
        self.commits = commits
        """The deadline of every commit so far."""
        self.injected = 0
        self.recovery_ms: list[int] = []
        self.idle = False
        self.told = f"{world.topics.prefix}-told"
        self.owner = world.owner("owner", connection=Connection(bootstrap_servers=wire.address))
        self._begun = 0
        self._ended: set[str] = set()
        self._seen = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self.owner.start()
        self._task = asyncio.create_task(self._pump())

    async def close(self) -> None:
        """End all of it at once."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.owner.crash()

    def id_of(self, slot: str) -> bytes:
        """A transactional id of the shard, as it is in a request."""
        return self.world.topics.transactional_id(0, slot).encode()

    async def recovered(self, since: float | None = None, counts: Callable[[], bool] = lambda: True) -> None:
        """Return once a run that is started now has ended; ``since``: when the fault was injected, by the monotonic.

        ``counts`` is asked then whether there was a fault at all.
        """
        number = self._begun
        await self.until(lambda: f"r{number}" in self._ended)
        if since is not None and counts():
            self.injected += 1
            self.recovery_ms.append(round((time.monotonic() - since) * 1000))

    async def rest(self, patience: float = QUIET_SECONDS) -> None:
        """Start nothing more, until `idle` is taken back, and return when nothing is under way."""
        self.idle = True
        await self.until(lambda: len(self._ended) == self._begun, patience)

    async def until(self, condition: Callable[[], bool], patience: float = QUIET_SECONDS) -> None:
        """Wait for a condition."""
        async with asyncio.timeout(patience):
            while not condition():
                if self._task.done():
                    self._task.result()
                await asyncio.sleep(0.01)

    async def judged(self, patience: float = QUIET_SECONDS) -> Outcome:
        """The end of a round: whatever is under way ends, for which it waits so many seconds, and all is counted."""
        with suppress(TimeoutError):  # what has not ended is counted as that
            await self.rest(patience)
        await self.close()
        await self.world.look()
        faults, emitted = self._promises(), await self._emitted()
        runs = self.world.runs()
        for run_id in self._ended:
            self._judge_run(faults, run_id, runs[run_id], emitted)
        faults.setdefault("lost", []).extend(f"r{n} is gone" for n in range(self._begun) if f"r{n}" not in runs)
        rows = self.world.worker.rows
        return Outcome(
            injected=self.injected,
            workflows=self._begun,
            steps=len(rows),
            effects=sum(row.applied + row.undone for row in rows.values()) + emitted.total(),
            faults={kind: texts for kind, texts in faults.items() if texts},
            unfinished=self._begun - len(self._ended),
            recovery_ms=tuple(self.recovery_ms),
        )

    async def _pump(self) -> None:
        while True:
            await self.world.look()
            self.world.worker.work()
            states = self.world.committed(self.world.topics.state)
            for record in states[self._seen :]:
                if record.key != POSITION_KEY and record.value is not None:
                    run = self.world.codec.decode(WorkflowRun, record.value)
                    if run.status.ended:
                        self._ended.add(run.run_id)
            self._seen = len(states)
            while not self.idle and self._begun - len(self._ended) < IN_FLIGHT:
                self.world.start(f"r{self._begun}")
                self._begun += 1
            await asyncio.sleep(0.005)

    def _promises(self) -> dict[str, list[str]]:
        """What the judge of the protocol finds."""
        found: dict[str, list[str]] = {}
        for kind, promise in (
            ("disordered", self.world.one_history),
            ("partial", self.world.nothing_torn),
            ("disordered", self.world.no_phantoms),
        ):
            try:
                promise()
            except Violated as violated:
                found.setdefault(kind, []).append(str(violated))
        return found

    async def _emitted(self) -> Counter[tuple[str, int]]:
        """How often each run emitted each part, as who skips what was not committed sees it."""
        async with PartitionReader(self.world.connection) as reader:
            pages = [page async for page in reader.read_to_end(self.told, 0)]
        return Counter((record.key.decode(), record.value[0]) for page in pages for record in page)

    def _judge_run(
        self, faults: dict[str, list[str]], run_id: str, run: WorkflowRun, emitted: Counter[tuple[str, int]]
    ) -> None:
        parts = [emitted[run_id, part] for part in range(PARTS)]
        if max(parts) > 1:
            faults.setdefault("doubled", []).append(f"{run_id} emitted its parts {parts} times")
        if min(parts) == 0:
            faults.setdefault("partial" if any(parts) else "lost", []).append(f"{run_id} emitted {parts} of its parts")
        if run.status is not RunStatus.COMPLETED:
            faults.setdefault("lost", []).append(f"{run_id} is {run.status}")
        for step in ("one", "two"):
            row = self.world.worker.rows.get(identifiers.step_key(run_id, run.incarnation, step))
            times = 0 if row is None else row.applied - row.undone
            if times != 1:
                faults.setdefault("doubled" if times > 1 else "lost", []).append(f"{run_id}/{step} is there {times}x")


@asynccontextmanager
async def opened(cluster: ApacheKafka, name: str, chance: Random) -> AsyncIterator[LoneShard]:
    """A shard that has served a run, with more under way."""
    prefix = f"{name}-{uuid.uuid4().hex[:8]}"
    direct = Connection(bootstrap_servers=cluster.bootstrap)
    world = KafkaWorld(direct, prefix)
    world.limits, world.commit_seconds = LIMITS, COMMIT_SECONDS
    told = f"{prefix}-told"
    actions = world.graph.actions
    one = actions["one"].model_copy(update={"emits": (told,)})
    world.graph = world.graph.model_copy(update={"actions": {**actions, "one": one}})
    world.worker = Teller(world)
    world.worker.emits["one"] = tuple(
        Emit(topic=told, value=bytes([part]) + chance.randbytes(PART_BYTES)) for part in range(PARTS)
    )
    async with Admin(direct) as admin:
        await admin.create_topics([TopicPlan(name=told, partitions=1, replication=1)])
    with deadlines.noted(COMMIT_SECONDS) as commits:
        async with proxy.Proxy(cluster.bootstrap) as wire, world:
            shard = LoneShard(world, wire, chance, commits)
            shard.start()
            try:
                await shard.recovered()
                yield shard
            finally:
                await shard.close()
