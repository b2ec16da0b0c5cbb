"""One installation's topics with workers that the test starts and stops, seen from the orchestrator's place."""

import asyncio
from contextlib import asynccontextmanager

from actionbus.contracts.commands import WorkerControl
from actionbus.contracts.records import OutRecord
from actionbus.contracts.results import ActionResult, ResultKind
from actionbus.contracts.topics import Topics
from actionbus.kafka.admin import Admin, TopicPlan
from actionbus.kafka.codec import Codec, to_json
from actionbus.kafka.partitioning import partition_for
from actionbus.kafka.producer import IdempotentProducer
from actionbus.kafka.reader import PartitionReader
from actionbus.process.settings import Settings
from actionbus.sdk.registry import Registry
from actionbus.worker.service import Worker
from worker.commands import execute

SECONDS = 240.0  # no test depends on speed
SESSION_MS = 60_000  # nor is a member thrown out because the machine is busy
ATTEMPT_MS = 3_600_000  # nor does an attempt that waits for its test run out of time
SHARDS = 2


async def until(condition, what="the condition"):
    """Wait until a condition holds; it may be a coroutine function."""
    try:
        async with asyncio.timeout(SECONDS):
            while True:
                found = condition()
                found = await found if asyncio.iscoroutine(found) else found
                if found:
                    return found
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"{what} did not come about within {SECONDS} s") from None


class Station:
    """Topics for some actions, commands in, results out."""

    def __init__(self, connection, prefix, *actions, partitions=2):
        self.connection = connection
        self.topics = Topics(prefix)
        self.actions = actions
        self.partitions = partitions
        self.codec = Codec()
        self._settings = {"prefix": prefix, "kafka": {"bootstrap_servers": (connection.bootstrap_servers,)}}
        self._read = {}  # of each partition, what was read of it so far
        self._decoded = {}

    async def __aenter__(self):
        plans = [
            TopicPlan(name=self.topics.results, partitions=SHARDS),
            TopicPlan(name=self.topics.control, partitions=1),
        ]
        for action in self.actions:
            plans.append(TopicPlan(name=self.topics.commands(action.id), partitions=self.partitions))
            plans.append(TopicPlan(name=self.topics.action_dead_letters(action.id), partitions=self.partitions))
        async with Admin(self.connection) as admin:
            await admin.create_topics(plans)
        self.producer = IdempotentProducer(self.connection)
        self.reader = PartitionReader(self.connection)
        await self.producer.start()
        await self.reader.start()
        return self

    async def __aexit__(self, *_):
        await self.producer.close()
        await self.reader.close()

    def settings(self, **changes):
        """The settings of a worker here."""
        worker = {"session_timeout_ms": SESSION_MS} | changes.pop("worker", {})
        return Settings(**(self._settings | changes), worker=worker)

    @asynccontextmanager
    async def worker(self, **changes):
        """A worker that is ready inside and has left afterwards."""
        worker = Worker(self.settings(**changes), Registry.of(*self.actions))
        stop = asyncio.Event()
        serving = asyncio.create_task(worker.serve(stop))
        try:
            await until(lambda: serving.done() or not worker.not_ready(), "a ready worker")
            if serving.done():
                await serving
            yield worker
        finally:
            stop.set()
            async with asyncio.timeout(SECONDS):
                await serving

    def command(self, action, number=1, attempt=1, value=None, **changes):
        """A command for an action of the station, of run r-``number``."""
        run = f"r-{number}"
        key = f"{run}:2s/step"
        return execute(
            value={} if value is None else value,
            attempt=attempt,
            **(
                {
                    "run_id": run,
                    "step_key": key,
                    "command_id": f"{key}/{attempt}",
                    "action": action.id,
                    "reply_topic": self.topics.results,
                    "reply_partition": partition_for(run.encode(), SHARDS),
                    "nonce": f"n-{number}",
                    "start_to_close_ms": ATTEMPT_MS,
                }
                | changes
            ),
        )

    async def send(self, *commands, encoding="avro", partition=None):
        """Write commands as the orchestrator does, in their order."""
        written = []
        for command in commands:
            value = to_json(command) if encoding == "json" else self.codec.encode(command)
            written.append(self.send_bytes(command.action, value, key=command.run_id.encode(), partition=partition))
        await asyncio.gather(*written)

    def send_bytes(self, action_id, value, *, key=b"k", partition=None, headers=()):
        """Write any bytes where commands are expected; done when they are acknowledged."""
        number = partition_for(key, self.partitions) if partition is None else partition
        record = OutRecord(key=key, value=value, headers=headers)
        return self.producer.append(self.topics.commands(action_id), number, [record])

    async def cancel(self, command):
        """Say that nobody waits for a command any more."""
        word = WorkerControl(command_id=command.command_id, action=command.action, kind="cancel", reason="test")
        record = OutRecord(key=command.command_id.encode(), value=self.codec.encode(word))
        await self.producer.append(self.topics.control, 0, [record])

    async def every_result(self):
        """All results so far, of all kinds."""
        records = await self._all(self.topics.results, SHARDS)
        for each in records:
            if (place := (each.partition, each.offset)) not in self._decoded:
                self._decoded[place] = self.codec.decode(ActionResult, each.value)
        return [self._decoded[each.partition, each.offset] for each in records]

    async def results(self, count):
        """Final results, as soon as there are so many: every one that is there then."""

        async def enough():
            found = [each for each in await self.every_result() if each.kind is not ResultKind.STARTED]
            return found if len(found) >= count else None

        return await until(enough, f"{count} results")

    async def answers(self, count):
        """Final results, as soon as so many commands have one: every one that is there then."""

        async def enough():
            found = await self.results(count)
            return found if len({each.command_id for each in found}) >= count else None

        return await until(enough, f"answers to {count} commands")

    async def dead_letters(self, action, count=1):
        """Dead letters of an action, as soon as there are so many."""

        async def enough():
            found = await self._all(self.topics.action_dead_letters(action.id), self.partitions)
            return found if len(found) >= count else None

        return await until(enough, f"{count} dead letters")

    async def committed(self, action):
        """What the action's group has committed, by partition."""
        topic = self.topics.commands(action.id)
        async with Admin(self.connection) as admin:
            stored = await admin.committed(self.topics.worker_group(action.id))
        return {partition: each for (name, partition), each in stored.items() if name == topic}

    async def commits(self, action, **expected):
        """Wait until the committed offset of each partition p0, p1... is this one."""

        async def there():
            stored = await self.committed(action)
            return all(int(name[1:]) in stored and stored[int(name[1:])].offset == at for name, at in expected.items())

        await until(there, f"commits {expected}")

    async def _all(self, topic, partitions):
        """Every record of a topic; what was read before is not read again."""
        places = [(topic, partition) for partition in range(partitions)]
        for place in places:
            known = self._read.setdefault(place, [])
            async for page in self.reader.read_to_end(*place, start=known[-1].offset + 1 if known else 0):
                known += page
        return [record for place in places for record in self._read[place]]
