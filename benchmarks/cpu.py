"""CPU time of our own code per step, without a broker: the orchestrator's, the worker's and the client's whole paths.

The real parts of all three work in one process and hand one another real record batches; what is missing is the
network. Every turn of the measurement is followed by a turn of a fixed plain loop: the ratio to it says more than
microseconds do, because it is the same on a slow day. ``python benchmarks/cpu.py`` prints the table.
"""

import argparse
import asyncio
import gc
import itertools
import json
import statistics
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, Self

import structlog
import uvloop

from actionbus.client import Client
from actionbus.client.tail import Tail
from actionbus.contracts.definitions import WorkflowDefinition
from actionbus.contracts.limits import DEFAULT_LIMITS
from actionbus.contracts.positions import ShardPosition
from actionbus.contracts.records import InRecord, OutRecord
from actionbus.contracts.topics import Topics
from actionbus.kafka import batches, pages
from actionbus.kafka.codec import Codec
from actionbus.kafka.connection import Connection
from actionbus.kafka.producer_id import ProducerIdentity
from actionbus.orchestrator import batch, tenure
from actionbus.orchestrator.backlog import Backlog
from actionbus.orchestrator.charter import Charter
from actionbus.orchestrator.clocks import SteadyClock
from actionbus.orchestrator.definitions import Definitions
from actionbus.orchestrator.destinations import Destinations
from actionbus.orchestrator.dispatcher import Dispatcher
from actionbus.orchestrator.quarantine import Quarantine
from actionbus.orchestrator.queues import Queues
from actionbus.orchestrator.store import RunStore
from actionbus.orchestrator.takeover import Holding
from actionbus.orchestrator.tally import Tally
from actionbus.orchestrator.timers import Timers
from actionbus.process.loop import COLLECT_AFTER
from actionbus.worker.answering import Answering
from actionbus.worker.attempts import Attempts, Claim
from actionbus.worker.execution import Execution
from actionbus.worker.failures import Failures
from actionbus.worker.intake import Intake
from actionbus.worker.lane import Lane
from actionbus.worker.metadata import Position
from actionbus.worker.offsets import Progress
from actionbus.worker.replies import Replies
from actionbus.worker.threads import Threads
from calibration import loop_us
from meter import Meter, table
from noop_app import noop, ten_noops

STEPS = 10
TOPICS = Topics("bench")
COMMANDS = TOPICS.commands(noop.id)
IDENTITY = ProducerIdentity(producer_id=1, epoch=0, transactional=True)
NOW_MS = time.time_ns() // 1_000_000


class Wire:
    """Stands for all brokers: keeps record batches as bytes until somebody reads them, and acknowledges at once."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._ends: defaultdict[str, int] = defaultdict(int)
        self._waiting: defaultdict[str, list[bytes]] = defaultdict(list)
        self.turns = defaultdict(asyncio.Event)  # set for whoever is to look what has come
        self.who = ""  # is at work

    def write(self, topic: str, records: Sequence[OutRecord]) -> int:
        """Append one batch; its first offset."""
        with self._meter.stage(f"{self.who}: build batches"):
            data = batches.build(records, IDENTITY, sequence=0, limit=DEFAULT_LIMITS.batch_bytes)
        first = self._ends[topic]
        self._ends[topic] += len(records)
        stamped = bytearray(data)
        stamped[:8] = first.to_bytes(8, "big")
        self._waiting[topic].append(bytes(stamped))
        return first

    async def turn(self, who: str) -> None:
        """Wait until it is one's turn."""
        await self.turns[who].wait()
        self.turns[who].clear()

    def read(self, topic: str, stage: str) -> list[InRecord]:
        """What was written since the last time."""
        data = b"".join(self._waiting.pop(topic, ()))
        with self._meter.stage(stage):
            records, _ = pages.unpack((topic, 0), data, (), 0, committed=True)
        return records

    def append(self, topic: str, partition: int, records: Sequence[OutRecord]) -> "asyncio.Future[int]":
        """As a producer does."""
        del partition
        written: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        written.set_result(self.write(topic, records))
        return written


class ShardLog:
    """The log of one shard, and both its writers, on the wire."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._written: dict[tuple[str, int], int] = {}

    def publish(self, topic: str, partition: int, records: Sequence[OutRecord]) -> "asyncio.Future[int]":
        """Write commands."""
        return self._wire.append(topic, partition, records)

    async def follow(self, positions: Mapping[tuple[str, int], int]) -> AsyncGenerator[list[InRecord]]:
        """Requests and results as they come."""
        while True:
            await self._wire.turn("orchestrator")
            for topic, _ in positions:
                if records := self._wire.read(topic, "orchestrator: unpack inputs"):
                    yield records

    async def partitions(self, topic: str) -> int:
        """One of everything."""
        del topic
        return 1

    def watch(self, _alarm: Callable[[], None]) -> None:
        """Every marker is there."""

    def check(self) -> None:
        """The same."""

    def begin(self) -> None:
        """Open a transaction."""
        self._written = {}

    def append(self, topic: str, partition: int, records: Sequence[OutRecord]) -> None:
        """Write a batch of it."""
        if records:
            self._written[topic, partition] = self._wire.write(topic, records)

    append_split = append

    async def commit(self) -> dict[tuple[str, int], int]:
        """It always goes well."""
        return self._written

    async def close(self) -> None:
        """Nothing is open."""


class Held:
    """The one partition of commands that the worker holds."""

    joined, changed = True, False

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._progress = Progress(Position(offset=0), metadata_bytes=DEFAULT_LIMITS.commit_metadata_bytes)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def poll(self, *, timeout_ms: int, room: int) -> list[tuple[InRecord, Claim]]:
        """The commands that are there."""
        del timeout_ms, room
        await self._wire.turn("worker")
        found = self._wire.read(COMMANDS, "worker: unpack commands")
        return [(each, Claim(self._progress, each.offset)) for each in found if self._progress.receive(each.offset)]

    def holds(self, claim: Claim) -> bool:
        """Always."""
        return bool(claim)

    async def commit(self) -> None:
        """What a commit sends is left out."""
        self._progress.position()

    async def measure(self) -> None:
        """Nothing lags."""


def orchestrator(meter: Meter, wire: Wire) -> tenure.Tenure:
    """A shard that has just been taken over."""
    log: Any = ShardLog(wire)
    codec, clock = Codec(), SteadyClock()
    known = Definitions(log, TOPICS.definitions, codec, limits=DEFAULT_LIMITS, run_retention_ms=3_600_000)
    definition = WorkflowDefinition.of(ten_noops.graph, deployed_at=0, deployed_by="bench")
    known.note(InRecord(topic="", partition=0, offset=0, timestamp_ms=0, key=b"", value=codec.encode(definition)))
    charter = Charter(
        shard=0,
        partitions=1,
        owner="bench",
        topics=TOPICS,
        log=log,
        clock=clock,
        codec=codec,
        definitions=known,
        destinations=Destinations(log.partitions, clock),
        nonce_key=b"a key of the benchmark, 32 bytes",
    )
    begun = ShardPosition(
        partitions=1, requests_offset=0, results_offset=0, txn_seq=0, dispatched_through=0, latest_time=NOW_MS
    )
    holding = Holding(
        writers=(log, log),
        store=RunStore(codec),
        position=begun,
        timers=Timers(),
        queues=Queues(known, 0, 1),
        tally=Tally(),
        backlog=Backlog(known),
    )
    meter.watch(batch, "seal", "orchestrator: seal")
    meter.watch(tenure.Tenure, "_fill", "orchestrator: fold")
    meter.watch(Dispatcher, "send", "orchestrator: commands")
    meter.watch(tenure.Tenure, "_settle", "orchestrator: settle")
    return tenure.Tenure(charter, holding, Quarantine(DEFAULT_LIMITS.identical_doubts))


def worker(producer: Any, holdings: Any) -> Lane:
    """The lane of the one action."""
    codec, limits, replies = Codec(), DEFAULT_LIMITS, Replies(producer, DEFAULT_LIMITS)
    attempts = Attempts(remembered=limits.remembered_results, remembered_bytes=67_108_864)
    return Lane(
        Execution(noop, limits=limits, failures=Failures(limits, ()), threads=Threads(1, noop.id), store=None),
        holdings=holdings,
        intake=Intake(noop.id, codec, reply_topic=TOPICS.results, reply_partitions=1),
        attempts=attempts,
        answering=Answering(
            noop.id,
            replies=replies,
            attempts=attempts,
            codec=codec,
            limits=limits,
            worker="bench",
            group=TOPICS.worker_group(noop.id),
            dead_letters=TOPICS.action_dead_letters(noop.id),
            dead_letter_partitions=1,
        ),
        concurrency=2_000,
    )


class Driver:
    """A client whose requests and events go over the wire."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._numbers = itertools.count()
        connection = Connection(bootstrap_servers="nowhere:0")
        self._client = Client(connection, prefix=TOPICS.prefix)
        self._tail = Tail(connection, TOPICS.events, 1, codec=Codec(), limits=DEFAULT_LIMITS)
        self._tail._task = asyncio.create_task(asyncio.Event().wait())  # so that it counts as running
        desk: Any = self._client._desk
        desk._producer, desk._shards, desk._tail = wire, 1, self._tail

    async def run(self) -> None:
        """One run from its start to its result."""
        number = next(self._numbers)
        handle = await self._client.start("ten-noops", number, run_id=f"bench-{number}", wait=False)
        assert await handle.result() == number

    def deliver(self) -> None:
        """Take in the events that are there."""
        self._tail._deliver(self._wire.read(TOPICS.events, "client: unpack events"))


async def settle() -> None:
    """Let everything that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)


class Measurement:
    """Lets client, orchestrator and worker work in turn, and the plain loop after them."""

    def __init__(self) -> None:
        self.meter = Meter()
        self.calibration: list[float] = []
        self.runs = 0
        self._wire = Wire(self.meter)
        self._driver = Driver(self._wire)
        self._stop = asyncio.Event()
        self._services = [
            asyncio.create_task(orchestrator(self.meter, self._wire).serve()),
            asyncio.create_task(worker(self._wire, Held(self._wire)).serve(self._stop, grace_seconds=0)),
        ]

    async def runs_together(self, together: int) -> None:
        """So many runs from their starts to their ends, in step with one another."""
        waiting: list[asyncio.Task[None]] = []
        await self._turn(
            "client", lambda: waiting.extend(asyncio.create_task(self._driver.run()) for _ in range(together))
        )
        for _ in range(STEPS):
            await self._turn("orchestrator")
            await self._turn("worker")
        await self._turn("orchestrator")
        await self._turn("client", self._driver.deliver)
        await asyncio.gather(*waiting)
        self.runs += together

    def forget(self) -> None:
        """Begin to count."""
        self.meter.spent.clear()
        self.calibration.clear()
        self.runs = 0

    async def close(self) -> None:
        """End both services."""
        for task in self._services:
            task.cancel()
        await asyncio.gather(*self._services, return_exceptions=True)

    async def _turn(self, who: str, work: Callable[[], None] = lambda: None) -> None:
        for task in self._services:
            if task.done():
                task.result()
        self._wire.who = who
        with self.meter.stage(f"{who}: the rest"):
            work()
            self._wire.turns[who].set()
            await settle()
        self.calibration.append(loop_us())


async def measure(together: int, rounds: int) -> dict[str, Any]:
    """Microseconds per step by stage, and of the plain loop."""
    measurement = Measurement()
    for _ in range(3):
        await measurement.runs_together(together)
    measurement.forget()
    for _ in range(rounds):
        await measurement.runs_together(together)
    await measurement.close()
    steps = measurement.runs * STEPS
    return {
        "steps": steps,
        "loop_us": statistics.mean(measurement.calibration),
        "us_per_step": {stage: spent / 1_000 / steps for stage, spent in sorted(measurement.meter.spent.items())},
    }


def main() -> None:
    """Parse the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--together", type=int, default=100, help="runs that share a fold")
    parser.add_argument("--rounds", type=int, default=20, help="so many times")
    parser.add_argument("--json", action="store_true", help="print figures for a program")
    chosen = parser.parse_args()
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    gc.set_threshold(*COLLECT_AFTER)  # as every service has it
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(measure(chosen.together, chosen.rounds))
    print(json.dumps(found) if chosen.json else "\n".join(table(found)))


if __name__ == "__main__":
    main()
