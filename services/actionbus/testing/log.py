"""A shard's log on a broker in memory. Several owners may use one broker at once, each over a network of its own."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence

from actionbus.contracts.errors import BatchTooLarge, Doubt, Fenced, InvariantBroken, Refused, Unavailable
from actionbus.contracts.records import InRecord, OutRecord
from actionbus.contracts.topics import Topics
from actionbus.orchestrator.log import Place, Slot
from actionbus.testing.memory_broker import MemoryBroker
from actionbus.testing.network import Network, Silence


class MemoryWriter:
    """The holder of one transactional id, as faithful as the real one: one EndTxn, and doubt after any silence."""

    def __init__(self, broker: MemoryBroker, network: Network, slot: Slot, transactional_id: str, epoch: int) -> None:
        self._broker = broker
        self._network = network
        self._slot: Slot = slot
        self._id = transactional_id
        self._epoch = epoch
        self._open = False
        self._spent = False
        self._batches: list[tuple[Place, list[OutRecord]]] = []
        self._alarm: Callable[[], None] = lambda: None

    async def clear(self, topics: Collection[str]) -> None:  # noqa: ARG002 - it knows where it wrote
        """Write the markers that are missing."""
        if not self._broker.left(self._id):
            return
        try:
            await self._network.send("clear", self._slot, lambda: self._broker.clear(self._id, self._epoch))
        except Silence:
            raise Unavailable(f"{self._id}: no answer") from None
        if self._broker.left(self._id):
            raise Unavailable(f"{self._id}: the last one stays open")

    def begin(self) -> None:
        """Open a transaction; nothing is sent yet."""
        if self._open or self._spent:
            raise InvariantBroken(f"the writer of {self._id} is not ready")
        self._open = True
        self._batches = []

    def append(self, topic: str, partition: int, records: Sequence[OutRecord]) -> None:
        """Add records that share one record batch."""
        size = sum(record.size for record in records)
        if size > self._broker.largest_batch:
            raise BatchTooLarge(f"{len(records)} records of {size} bytes")
        if records:
            self._batches.append(((topic, partition), list(records)))

    def append_split(self, topic: str, partition: int, records: Sequence[OutRecord]) -> None:
        """Add records, each in a batch of its own."""
        for record in records:
            self.append(topic, partition, [record])

    def abort(self) -> None:
        """Forget what was appended."""
        self._open = False

    async def commit(self) -> Mapping[Place, int]:
        """Write and commit; raises Doubt for every other outcome."""
        self._open, self._spent = False, True
        offsets: dict[Place, int] = {}
        places = {place for place, _ in self._batches}
        self.check()
        try:
            await self._network.send("add", self._slot, lambda: self._broker.add(self._id, self._epoch, places))
            for place, records in self._batches:
                first = await self._network.send("write", self._slot, self._produce(place, records))
                offsets.setdefault(place, first)
            await self._network.send("end", self._slot, lambda: self._broker.end(self._id, self._epoch, commit=True))
        except Silence:
            raise Doubt(f"{self._id}: no answer") from None
        except Fenced:
            raise
        except Refused as error:
            raise Doubt(f"{self._id}: {error}") from error
        self._spent = False
        if self._broker.left(self._id):
            asyncio.get_running_loop().call_soon(self._alarm)
        return offsets

    def watch(self, alarm: Callable[[], None]) -> None:
        """Call this when a transaction stays open."""
        self._alarm = alarm

    def check(self) -> None:
        """Raise Doubt when the last one stays open."""
        if self._broker.left(self._id):
            raise Doubt(f"{self._id}: the last one stays open")

    async def close(self) -> None:
        """Let go; what is open stays open."""
        self._spent = True

    def _produce(self, place: Place, records: list[OutRecord]):  # noqa: ANN202 - a request
        return lambda: self._broker.produce(self._id, self._epoch, place, records)


class MemoryLog:
    """One owner's view of the broker."""

    def __init__(self, broker: MemoryBroker, topics: Topics) -> None:
        self.broker = broker
        self.network = Network()
        self._topics = topics
        self._publishing: set[asyncio.Task[None]] = set()

    async def fence(self, shard: int, slot: Slot) -> MemoryWriter:
        """Take one transactional id over."""
        transactional_id = self._topics.transactional_id(shard, slot)
        try:
            epoch = await self.network.send("fence", slot, lambda: self.broker.init(transactional_id))
        except Silence:
            raise Unavailable(f"{transactional_id}: no answer") from None
        return MemoryWriter(self.broker, self.network, slot, transactional_id, epoch)

    async def earliest(self, topic: str, partition: int) -> int:
        """The oldest offset."""
        await asyncio.sleep(0)
        return self.broker.start((topic, partition))

    async def held_back(self, topic: str, partition: int) -> int | None:
        """Where a transaction begins that is still open."""
        place = (topic, partition)
        stable = self.broker.end_offset(place)
        return stable if stable < self.broker.written(place) else None

    async def written_at(self, topic: str, partition: int, start: int, end: int) -> int | None:
        """When the first committed record between two offsets was written."""
        found = self.broker.read((topic, partition), start)
        return found[0].timestamp_ms if found and found[0].offset < end else None

    async def read(self, topic: str, partition: int, start: int) -> AsyncGenerator[list[InRecord]]:
        """Committed records to the end as it is when the request arrives."""
        try:
            found = await self.network.send("read", topic, lambda: self.broker.read((topic, partition), start))
        except Silence:
            raise Unavailable(f"{topic}: no answer") from None
        if found:
            yield found

    async def follow(self, positions: Mapping[Place, int]) -> AsyncGenerator[list[InRecord]]:
        """Committed records from these offsets on, for ever."""
        at = dict(positions)
        while True:
            arrived = False
            for place, offset in at.items():
                found = self.broker.read(place, offset)
                if found:
                    arrived = True
                    at[place] = found[-1].offset + 1
                    yield found
            if not arrived:
                await self.broker.change()

    def publish(self, topic: str, partition: int, records: Sequence[OutRecord]) -> asyncio.Future[int]:
        """Write outside any transaction."""
        written: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        task = asyncio.get_running_loop().create_task(self._publish((topic, partition), list(records), written))
        self._publishing.add(task)
        task.add_done_callback(self._publishing.discard)
        return written

    async def passed(self, group: str, topic: str, partition: int, before_ms: int) -> bool:
        """Whether a consumer group has passed every record of a partition that was written before that time."""
        await asyncio.sleep(0)
        older = [each for each in self.broker.read((topic, partition), 0) if each.timestamp_ms < before_ms]
        return not older or self.broker.groups.get((group, topic), 0) > older[-1].offset

    async def partitions(self, topic: str) -> int | None:
        """How many partitions a topic has."""
        await asyncio.sleep(0)
        return self.broker.partitions(topic)

    def cut(self) -> None:
        """The owner is dead: what it had not sent is never sent."""
        for task in self._publishing:
            task.cancel()

    async def _publish(self, place: Place, records: list[OutRecord], written: asyncio.Future[int]) -> None:
        try:
            written.set_result(await self.network.send("publish", place[0], lambda: self.broker.append(place, records)))
        except Silence:
            written.set_exception(Unavailable(f"{place[0]}: no answer"))
        except Refused as error:
            written.set_exception(error)
