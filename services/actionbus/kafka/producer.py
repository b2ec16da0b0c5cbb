"""Plain writes, acknowledged by all in-sync replicas, each with its own deadline: commands, results, requests.

Idempotence keeps duplicates of a retry out while this producer knows its sequence. After a deadline it takes a new
identity, so a record whose future failed may be in the log, and may be there twice once it is appended again. Readers
tell records by their ids.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from actionbus.contracts.errors import ActionbusError, InvariantBroken, Unavailable
from actionbus.contracts.limits import DEFAULT_LIMITS, Limits
from actionbus.contracts.records import OutRecord
from actionbus.kafka import batches, clients, cluster, outcomes, producer_id
from actionbus.kafka.batches import Partition
from actionbus.kafka.connection import Connection

BACKOFF_SECONDS: Final = 0.05
# The broker does not know this identity or its last sequence any more: out of order, epoch, mapping, unknown id.
_IDENTITY_LOST: Final = frozenset({45, outcomes.INVALID_PRODUCER_EPOCH, 49, 59})


@dataclass(slots=True, kw_only=True)
class _Parcel:
    """The records of one append."""

    records: Sequence[OutRecord]
    size: int
    deadline: float
    written: asyncio.Future[int]


@dataclass(slots=True, kw_only=True)
class _Load:
    """Parcels that travel as one batch; the bytes stay the same at every repetition."""

    parcels: list[_Parcel]
    count: int
    data: bytes


class IdempotentProducer:
    """Writes record batches without waiting for more to come; what comes while one is under way shares the next."""

    def __init__(
        self,
        connection: Connection,
        *,
        limits: Limits = DEFAULT_LIMITS,
        append_seconds: float = clients.APPEND_SECONDS,
    ) -> None:
        self._cluster = cluster.Cluster(connection)
        self._limits = limits
        self._append_seconds = append_seconds
        self._identity = producer_id.NOBODY
        self._sequences: defaultdict[Partition, int] = defaultdict(int)
        self._queues: dict[Partition, deque[_Parcel]] = {}
        self._again: dict[Partition, _Load] = {}  # to be repeated
        self._busy: set[Partition] = set()  # under way, or waiting for a repetition
        self._flying: set[int] = set()  # brokers with a request under way
        self._tasks: set[asyncio.Task[None]] = set()
        self._unwritten: set[asyncio.Future[int]] = set()
        self._departing = False
        self._renewing = False
        self._open = False

    async def start(self) -> None:
        """Connect and get a producer id; raises Unavailable or AccessRefused."""
        await self._cluster.start()
        try:
            self._identity = await producer_id.take(self._cluster, None)
        except BaseException:
            await self._cluster.close()
            raise
        self._open = True

    async def close(self) -> None:
        """Stop at once; futures that are not done fail with Unavailable. Call `flush` first to write everything."""
        self._open = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for written in list(self._unwritten):
            _fail(written, Unavailable("the producer was closed before the broker acknowledged the records"))
        await self._cluster.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.flush()
        await self.close()

    def append(self, topic: str, partition: int, records: Sequence[OutRecord]) -> "asyncio.Future[int]":
        """Write records in one batch, in order after everything appended before; the future gives the first offset.

        The future fails with Unavailable after the deadline, with AccessRefused, TopicMissing, BatchTooLarge or Refused
        when the broker says so. Raises BatchTooLarge at once when the records do not fit one batch.
        """
        if not self._open:
            raise Unavailable("the producer is not open")
        if not records:
            raise InvariantBroken("an append needs records")
        size = sum(map(batches.size_of, records))
        if size + clients.BATCH_OVERHEAD > self._limits.batch_bytes:
            batches.build(records, self._identity, sequence=0, limit=self._limits.batch_bytes)  # to raise or to fit
        loop = asyncio.get_running_loop()
        written: asyncio.Future[int] = loop.create_future()
        self._unwritten.add(written)
        written.add_done_callback(self._unwritten.discard)
        parcel = _Parcel(records=records, size=size, deadline=loop.time() + self._append_seconds, written=written)
        self._queues.setdefault((topic, partition), deque()).append(parcel)
        if not self._departing:
            self._departing = True
            loop.call_soon(self._depart)  # what is appended in the same turn of the loop travels together
        return written

    async def flush(self) -> None:
        """Return when everything appended so far is acknowledged or has failed; each future says which."""
        if self._unwritten:
            await asyncio.wait(list(self._unwritten))

    def _depart(self) -> None:
        """Send one request to every broker that has none under way, with a batch for each partition that waits."""
        self._departing = False
        if not self._open or self._renewing:
            return
        by_node: defaultdict[int, dict[Partition, _Load]] = defaultdict(dict)
        for place in [*self._again, *self._queues]:
            if place in self._busy:
                continue
            node = self._cluster.leader(*place)
            if node is None:
                self._busy.add(place)
                self._spawn(self._find(place))
            elif node not in self._flying and (load := self._load(place)) is not None:
                self._busy.add(place)
                by_node[node][place] = load
        for node, loads in by_node.items():
            self._flying.add(node)
            self._spawn(self._fly(node, loads))

    def _load(self, place: Partition) -> _Load | None:
        if place in self._again:
            return self._again.pop(place)
        queue = self._queues[place]
        now = asyncio.get_running_loop().time()
        parcels: list[_Parcel] = []
        size = clients.BATCH_OVERHEAD
        while queue and (not parcels or size + queue[0].size <= self._limits.batch_bytes):
            parcel = queue.popleft()
            if parcel.deadline <= now:
                _fail(parcel.written, self._too_late(place, "it never left"))
            else:
                parcels.append(parcel)
                size += parcel.size
        if not queue:
            del self._queues[place]
        return self._pack(place, parcels) if parcels else None

    def _pack(self, place: Partition, parcels: list[_Parcel]) -> _Load:
        records = [record for parcel in parcels for record in parcel.records]
        sequence, limit = self._sequences[place], self._limits.batch_bytes
        data = batches.build(records, self._identity, sequence=sequence, limit=limit)
        return _Load(parcels=parcels, count=len(records), data=data)

    async def _fly(self, node: int, loads: dict[Partition, _Load]) -> None:
        answers: dict[Partition, batches.Delivery] = {}
        reason = "the broker did not answer"
        deadline = min(parcel.deadline for load in loads.values() for parcel in load.parcels)
        request = batches.request({place: load.data for place, load in loads.items()}, None)
        try:
            async with asyncio.timeout_at(deadline):
                answers = batches.deliveries(await self._cluster.send(node, request))
        except cluster.Silence as error:
            reason = str(outcomes.failure(error, "the last request"))
        for place, load in loads.items():
            self._land(place, load, answers.get(place), reason)
        self._flying.discard(node)
        if self._renewing and not self._flying:
            await self._take_identity()
        self._depart()

    def _land(self, place: Partition, load: _Load, answer: batches.Delivery | None, reason: str) -> None:
        what = f"writing to topic {place[0]}, partition {place[1]}"
        if answer is not None and answer.code in (outcomes.NONE, outcomes.DUPLICATE_SEQUENCE_NUMBER):
            self._sequences[place] = batches.after(self._sequences[place], load.count)
            offset = answer.base_offset
            for parcel in load.parcels:
                _give(parcel.written, offset)
                offset += len(parcel.records)
            self._busy.discard(place)
        elif answer is not None and answer.code in _IDENTITY_LOST:
            self._renewing = True
            self._put_back(place, load.parcels)
        elif answer is not None and answer.code not in outcomes.RETRIABLE_PRODUCE:
            for parcel in load.parcels:
                _fail(parcel.written, outcomes.refusal(answer.code, what))
            self._busy.discard(place)
        elif min(parcel.deadline for parcel in load.parcels) <= asyncio.get_running_loop().time():
            self._renewing = True  # the batch may be in the log or not, so the sequence is not known
            self._put_back(place, load.parcels, reason if answer is None else outcomes.name(answer.code))
        else:
            self._again[place] = load
            self._spawn(self._repeat(place))

    async def _repeat(self, place: Partition) -> None:
        await asyncio.sleep(BACKOFF_SECONDS)
        await self._cluster.refresh()
        if place in self._again:  # else it was put back meanwhile, and may be under way
            self._busy.discard(place)
        self._depart()

    async def _find(self, place: Partition) -> None:
        try:
            await self._cluster.find_leader(*place)
        except ActionbusError as error:
            repeated = self._again.pop(place, None)
            for parcel in [*(repeated.parcels if repeated else ()), *self._queues.pop(place, ())]:
                _fail(parcel.written, error)
        self._busy.discard(place)
        self._depart()

    def _put_back(self, place: Partition, parcels: list[_Parcel], last: str = "the producer id was lost") -> None:
        """Let parcels wait for the next batch again, ahead of all others; those that are too late fail."""
        now = asyncio.get_running_loop().time()
        queue = self._queues.setdefault(place, deque())
        for parcel in reversed(parcels):
            if parcel.deadline <= now:
                _fail(parcel.written, self._too_late(place, last))
            else:
                queue.appendleft(parcel)
        if not queue:
            del self._queues[place]
        self._busy.discard(place)

    async def _take_identity(self) -> None:
        """Begin anew: with another producer id every sequence starts at zero. Nothing is under way meanwhile."""
        for place, load in self._again.items():
            self._put_back(place, load.parcels)
        self._again.clear()
        while True:
            try:
                self._identity = await producer_id.take(self._cluster, None)
                break
            except ActionbusError as error:
                for place, queue in list(self._queues.items()):
                    self._put_back(place, [queue.popleft() for _ in range(len(queue))], str(error))
        self._sequences.clear()
        self._renewing = False

    def _too_late(self, place: Partition, last: str) -> Unavailable:
        what = f"writing to topic {place[0]}, partition {place[1]}"
        return Unavailable(f"{what}: not acknowledged within {self._append_seconds:g} s: {last}")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _give(written: "asyncio.Future[int]", offset: int) -> None:
    if not written.done():
        written.set_result(offset)


def _fail(written: "asyncio.Future[int]", error: Exception) -> None:
    if not written.done():
        written.set_exception(error)
