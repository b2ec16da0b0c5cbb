"""Transactions: records of several partitions that readers of committed data see all, or never. One at a time.

What a commit covers: every batch appended since `begin`, and nothing else; input positions are records like any other.
What a rebalance does to it: nothing. Who starts the same transactional id later fences this producer, whatever any
group says, and what this one left open is aborted.

The protocol spoken is Kafka's transaction version 1. In it an EndTxn that arrives late may end the transaction after
its own. Therefore EndTxn leaves this machine once. A reply that refuses it may be answered by another; silence, a lost
connection or a deadline is `Doubt`, and after it this producer does nothing more. The remaining risk is a copy made by
the network itself; the owner answers it by starting both its ids anew, which gives them a new epoch.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from enum import Enum
from typing import Any, Final

import structlog
from aiokafka.client import ConnectionGroup
from aiokafka.protocol.transaction import AddPartitionsToTxnRequest, EndTxnRequest

from actionbus.contracts.errors import (
    ActionbusError,
    Doubt,
    Fenced,
    InvariantBroken,
    Unavailable,
)
from actionbus.contracts.limits import DEFAULT_LIMITS, Limits
from actionbus.contracts.records import OutRecord
from actionbus.kafka import batches, clients, cluster, markers, outcomes, producer_id
from actionbus.kafka.batches import Partition
from actionbus.kafka.connection import Connection

Ending = Callable[[Collection[Partition], Awaitable[None]], Awaitable[None]]
"""Given the partitions of a transaction that is written, and what ends it: for whoever has to stand between both."""

BACKOFF_SECONDS: Final = 0.05
MARKERS_BACKOFF_SECONDS: Final = 0.002  # the markers of the last transaction are written in a few milliseconds
MARKERS_BACKOFF_MAX_SECONDS: Final = 0.02
# Refusals that say "not now" or "not me" and leave the request without effect.
_NOT_NOW: Final = frozenset(
    {outcomes.NOT_COORDINATOR, outcomes.COORDINATOR_LOAD_IN_PROGRESS, outcomes.CONCURRENT_TRANSACTIONS}
)

_log = structlog.get_logger(__name__)


class State(Enum):
    """Where a producer stands."""

    NEW = "it is not started"
    READY = "no transaction is open"
    OPEN = "a transaction is open"
    SPENT = "it is closed, or an outcome was unknown: start another"


class TransactionalProducer:
    """The holder of one transactional id.

    Calls follow `start clear? (begin append* (commit | abort))* close`. After `Doubt` only `close` is left.
    """

    def __init__(
        self,
        connection: Connection,
        transactional_id: str,
        *,
        limits: Limits = DEFAULT_LIMITS,
        commit_seconds: float = clients.COMMIT_SECONDS,
        ending: Ending | None = None,
        own: Collection[Partition] = (),
    ) -> None:
        """``own``: partitions in which nothing of earlier holders may stay open, see `clear`."""
        self.transactional_id = transactional_id
        self._limits = limits
        self._commit_seconds = commit_seconds
        self._ending = ending
        self._own = own
        self._cluster = cluster.Cluster(connection)
        self._state = State.NEW
        self._coordinator: int | None = None
        self._identity = producer_id.NOBODY
        self._sequences: defaultdict[Partition, int] = defaultdict(int)
        self._waiting: dict[Partition, list[tuple[bytes, int]]] = {}
        self._before: markers.LastTransaction | None = None  # of earlier holders
        self._proof: markers.Proof | None = None  # of the last transaction
        self._alarm: Callable[[], None] = lambda: None

    @property
    def state(self) -> State:
        """Where this producer stands."""
        return self._state

    async def start(self) -> None:
        """Take the transactional id over: when this returns, every earlier holder is fenced.

        What it left open has ended, except where a marker is missing: see `clear`. Raises Unavailable or AccessRefused.
        """
        self._expect(State.NEW)
        await self._cluster.start()
        try:
            self._identity = await producer_id.take(self._cluster, self.transactional_id, look=self._look)
        except BaseException:
            await self.close()
            raise
        self._state = State.READY

    async def clear(self, topics: Iterable[str] = ()) -> None:
        """End what earlier holders left open because markers are missing, as it was decided then.

        ``topics``: besides its own partitions those of others, which are cleared where they answer. Raises Unavailable
        while one of its own does not answer, or when nobody knows what was decided; or Fenced.
        """
        self._expect(State.READY)
        self._state = State.SPENT
        try:
            async with asyncio.timeout(self._commit_seconds):
                await self._clear(topics)
        except (*cluster.Silence, TimeoutError, Doubt) as error:
            if isinstance(error, Fenced):
                raise
            raise Unavailable(f"{self._name}: what was left open is not ended yet: {error}") from error
        self._state = State.READY

    def begin(self) -> None:
        """Open a transaction; nothing is sent yet."""
        self._expect(State.READY)
        self._waiting = {}
        self._state = State.OPEN

    def append(self, topic: str, partition: int, records: Sequence[OutRecord]) -> None:
        """Add records that have to share one record batch; raises BatchTooLarge, and then nothing was added."""
        self._expect(State.OPEN)
        if not records:
            return
        place = (topic, partition)
        waiting = self._waiting.setdefault(place, [])
        sequence = batches.after(self._sequences[place], sum(count for _, count in waiting))
        data = batches.build(records, self._identity, sequence=sequence, limit=self._limits.batch_bytes)
        waiting.append((data, len(records)))

    def append_split(self, topic: str, partition: int, records: Sequence[OutRecord]) -> None:
        """Add records in as many batches as they need; raises BatchTooLarge when one alone fits none.

        After that error some of the records are in the transaction: abort it.
        """
        for part in batches.split(records, limit=self._limits.batch_bytes):
            self.append(topic, partition, part)

    def abort(self) -> None:
        """Forget what was appended. Nothing of it was sent before `commit`, so no broker has to be told."""
        self._expect(State.OPEN)
        self._state = State.READY

    async def commit(self) -> dict[Partition, int]:
        """Write everything that was appended and commit it; returns the first offset written in each partition.

        Raises Doubt, or Fenced, for every other outcome. A cancelled commit leaves the producer spent as well.
        """
        self._expect(State.OPEN)
        waiting = {place: parts for place, parts in self._waiting.items() if parts}
        if not waiting:
            self._state = State.READY
            return {}
        self._state = State.SPENT  # until it is known to have gone well
        try:
            async with asyncio.timeout(self._commit_seconds):
                await self.marked()
                await self._add_partitions(waiting)
                offsets = await self._write(waiting)
                await (self._end() if self._ending is None else self._ending(waiting.keys(), self._end()))
        except TimeoutError as error:
            raise Doubt(f"{self._name}: no end within {self._commit_seconds:g} s") from error
        for place, parts in waiting.items():
            self._sequences[place] = batches.after(self._sequences[place], sum(count for _, count in parts))
        self._proof = markers.Proof(self._cluster, self._identity.producer_id, offsets, self._alarm)
        self._state = State.READY
        return offsets

    def watch(self, alarm: Callable[[], None]) -> None:
        """Call this when a transaction turns out to lack a marker; `check` tells of it then."""
        self._alarm = alarm

    def check(self) -> None:
        """Raise Doubt when it is known that the last transaction lacks a marker: nothing else will bring it."""
        if self._proof is not None:
            self._proof.check()

    async def marked(self) -> None:
        """Return when the last transaction has its markers; raises Doubt when it lacks one.

        The end of the next one would decide about both, and that may be an abort.
        """
        if self._proof is not None:
            await self._proof.wait()

    async def close(self) -> None:
        """Close the connections. An open transaction stays open until the next holder or the broker ends it."""
        self._state = State.SPENT
        if self._proof is not None:
            await self._proof.close()
        await self._cluster.close()

    @property
    def _name(self) -> str:
        return f"transaction of {self.transactional_id}"

    def _expect(self, state: State) -> None:
        if self._state is not state:
            raise InvariantBroken(f"producer {self.transactional_id}: {self._state.value}")

    async def _look(self) -> None:
        """Learn how the last transaction ended, which the takeover makes the coordinator forget.

        It has to wait for partitions that do not answer: one takeover after the other would be for nothing, and the
        first of them would be the last that knows.
        """
        await markers.stable(self._cluster, self._own)
        found = await markers.last_transaction(self._cluster, self.transactional_id)
        if found is not None and (self._before is None or found.state != markers.EMPTY):
            self._before = found  # what the request of a moment ago may have emptied is known from before

    async def _clear(self, topics: Iterable[str]) -> None:
        before = self._before
        ids = {self._identity.producer_id} | ({before.producer_id} if before is not None else set())
        found = await markers.held(self._cluster, ids, self._own, topics)
        for committed, chosen in markers.decided(found, before, self._own).items():
            await self._end_again(chosen, committed=committed)

    async def _end_again(self, chosen: Mapping[Partition, int], *, committed: bool) -> None:
        """Another transaction without a record, whose markers end what is open."""
        words = {"transactional_id": self.transactional_id, "committed": committed, "partitions": sorted(chosen)}
        _log.warning("markers of a transaction that has ended are missing and are written now", **words)
        await self._add_partitions(chosen)
        await self._end(committed=committed)
        if still := await markers.missing(self._cluster, self._identity.producer_id, chosen):
            raise Doubt(f"it stays open in {len(still)} partitions")

    async def _add_partitions(self, places: Iterable[Partition]) -> None:
        topics: defaultdict[str, list[int]] = defaultdict(list)
        for topic, partition in places:
            topics[topic].append(partition)
        request = AddPartitionsToTxnRequest(
            self.transactional_id, self._identity.producer_id, self._identity.epoch, list(topics.items())
        )
        backoff = MARKERS_BACKOFF_SECONDS
        while True:
            reply = await self._ask_coordinator(request)
            refused = {(topic, part): code for topic, parts in reply.errors for part, code in parts if code}
            # Where one partition is refused, the others are answered with "not attempted".
            causes = {code: place for place, code in refused.items() if code != outcomes.OPERATION_NOT_ATTEMPTED}
            if not refused:
                return
            if not causes.keys() <= _NOT_NOW | {outcomes.COORDINATOR_NOT_AVAILABLE}:
                code, (topic, partition) = next(iter(causes.items()))
                raise self._refused(code, f"partition {partition} of topic {topic}")
            if outcomes.CONCURRENT_TRANSACTIONS in causes:
                await asyncio.sleep(backoff)
                backoff = min(2 * backoff, MARKERS_BACKOFF_MAX_SECONDS)
            else:
                self._coordinator = None
                await asyncio.sleep(BACKOFF_SECONDS)

    async def _write(self, waiting: Mapping[Partition, Sequence[tuple[bytes, int]]]) -> dict[Partition, int]:
        offsets: dict[Partition, int] = {}
        for turn in range(max(map(len, waiting.values()))):  # a request carries one batch of a partition
            written = await self._write_once({p: parts[turn][0] for p, parts in waiting.items() if turn < len(parts)})
            offsets = written | offsets
        return offsets

    async def _write_once(self, pending: dict[Partition, bytes]) -> dict[Partition, int]:
        """Write one batch to each partition. Repeating a batch is safe: its sequence number makes it count once."""
        offsets: dict[Partition, int] = {}
        while True:
            by_node: defaultdict[int, dict[Partition, bytes]] = defaultdict(dict)
            for place, data in pending.items():
                by_node[await self._leader(place)][place] = data
            answers = await asyncio.gather(*(self._produce(node, data) for node, data in by_node.items()))
            for place, delivery in ((p, d) for answer in answers for p, d in answer.items()):
                if delivery.code in (outcomes.NONE, outcomes.DUPLICATE_SEQUENCE_NUMBER):
                    offsets[place] = delivery.base_offset
                    del pending[place]
                elif delivery.code not in outcomes.RETRIABLE_PRODUCE:
                    raise self._refused(delivery.code, f"partition {place[1]} of topic {place[0]}")
            if not pending:
                return offsets
            await asyncio.sleep(BACKOFF_SECONDS)
            await self._cluster.refresh()

    async def _leader(self, place: Partition) -> int:
        known = self._cluster.leader(*place)
        if known is not None:
            return known
        try:
            return await self._cluster.find_leader(*place)
        except ActionbusError as error:
            raise Doubt(f"{self._name}: {error}") from error

    async def _produce(self, node: int, data: Mapping[Partition, bytes]) -> dict[Partition, batches.Delivery]:
        try:
            reply = await self._cluster.send(node, batches.request(data, self.transactional_id))
        except cluster.Silence:
            return {}  # all of it stays pending
        return batches.deliveries(reply)

    async def _end(self, *, committed: bool = True) -> None:
        request = EndTxnRequest(
            self.transactional_id, self._identity.producer_id, self._identity.epoch, transaction_result=committed
        )
        while True:
            reply = await self._ask_coordinator(request)
            if reply.error_code == outcomes.NONE:
                return
            if reply.error_code not in _NOT_NOW:
                raise self._refused(reply.error_code, "its end")
            if reply.error_code != outcomes.CONCURRENT_TRANSACTIONS:
                self._coordinator = None
            await asyncio.sleep(BACKOFF_SECONDS)

    async def _ask_coordinator(self, request: Any) -> Any:
        """The coordinator's reply to a request that leaves once; Doubt when it left and no reply came."""
        while True:
            if self._coordinator is None:
                try:
                    self._coordinator = await self._cluster.coordinator("transaction", self.transactional_id)
                except ActionbusError as error:
                    raise Doubt(f"{self._name}: {error}") from error
            try:
                return await self._cluster.send(self._coordinator, request, lane=ConnectionGroup.COORDINATION)
            except cluster.NotSent:
                self._coordinator = None
                await asyncio.sleep(BACKOFF_SECONDS)
            except cluster.Silence as error:
                raise Doubt(f"{self._name}: {outcomes.failure(error, type(request).__name__)}") from error

    def _refused(self, code: int, what: str) -> Doubt:
        error = outcomes.refusal(code, what)
        doubt = Fenced(f"{self._name}: {error}") if isinstance(error, Fenced) else Doubt(f"{self._name}: {error}")
        doubt.__cause__ = error  # tells a refusal, which comes back however often one asks, from silence
        return doubt
