"""A consumer group's reader of one topic: records, partitions that come and go, offsets with a text beside them.

Where a partition without stored offset begins is decided once, here: at its oldest record if nothing was ever removed
from it, for then the group is new, or the partition is. If records were removed before this group had an offset, or
below the offset it had, nobody can say that they were handled, and the reader refuses until somebody decides
(`accept_gap`). It refuses as well where the topic ends before that offset: what stood between was taken back. A group
that is deleted while its topic still holds every record looks new, and reads all of it again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka import errors as kafka
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.structs import ConsumerRecord, TopicPartition

from actionbus.contracts.errors import Fenced, PositionLost, Unavailable
from actionbus.contracts.limits import DEFAULT_LIMITS, Limits
from actionbus.contracts.records import InRecord
from actionbus.kafka import admin, clients, cluster, coordination, membership, outcomes, reader
from actionbus.kafka.admin import Committed
from actionbus.kafka.connection import Connection
from actionbus.kafka.rebalances import Assigned, Lost, Rebalance, Revoked

# What a member does while it still holds the partitions it is about to lose, as storing its last offsets.
BeforeRevoke = Callable[[frozenset[int]], Awaitable[None]]
BEFORE_REVOKE_SECONDS: Final = 5.0  # of the rebalance timeout that the whole group waits for
_KEEP_AS_THE_BROKER_DOES: Final = -1  # retention of offsets

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """What one poll brought: first what changed, in order, then records of the partitions held after it.

    `started` has an entry for each partition that came with an `Assigned` in this poll: where it begins, and what was
    stored beside that offset.
    """

    changes: tuple[Rebalance, ...] = ()
    started: Mapping[int, Committed] = field(default_factory=dict[int, Committed])
    records: tuple[InRecord, ...] = ()


class GroupReader:
    """One member of a group, with the partitions of one topic that it holds."""

    def __init__(
        self,
        connection: Connection,
        group: str,
        topic: str,
        *,
        limits: Limits = DEFAULT_LIMITS,
        isolation: reader.Isolation = "read_uncommitted",
        before_revoke: BeforeRevoke | None = None,
        accept_gap: bool = False,
        session_timeout_ms: int = clients.SESSION_TIMEOUT_MS,
        instance_id: str | None = None,
    ) -> None:
        self.group = group
        self.topic = topic
        self._connection = connection
        self._limits = limits
        self._isolation: reader.Isolation = isolation
        self._before_revoke = before_revoke
        self._accept_gap = accept_gap
        self._session_timeout_ms = session_timeout_ms
        self._instance_id = instance_id
        self._brokers = cluster.Cluster(connection)
        self._oldest = reader.PartitionReader(connection, isolation=isolation)
        self._consumer: AIOKafkaConsumer | None = None
        self._changes: list[Rebalance] = []
        self._absent = True

    async def start(self) -> None:
        """Join the group and return when it has answered; raises Unavailable, AccessRefused or TopicMissing."""
        try:
            await self._join()
        except BaseException:
            await self.close()
            raise

    async def _join(self) -> None:
        await self._brokers.start()
        await self._brokers.partitions(self.topic)
        await self._oldest.start()
        await self._enter()

    async def _enter(self) -> None:
        """Join as a new member, as often as the library gives one up; raises what the group says."""
        self._absent = True
        while self._absent:
            consumer = self._consumer = clients.group_consumer(
                self._connection,
                self.group,
                isolation=self._isolation,
                fetch_bytes=self._limits.fetch_bytes,
                session_timeout_ms=self._session_timeout_ms,
                instance_id=self._instance_id,
            )
            consumer.subscribe([self.topic], listener=_Listener(consumer, self._changes, self._before_revoke))
            try:
                await consumer.start()
                self._absent = False
            except (kafka.KafkaError, OSError) as error:
                given_up = membership.given_up(consumer)
                await self._leave(consumer, error)
                if not given_up:
                    raise outcomes.failure(error, f"group {self.group}") from error
                await asyncio.sleep(membership.ANEW_SECONDS)

    async def _leave(self, consumer: AIOKafkaConsumer, error: Exception) -> None:
        """Let go of a member that is of no use any more; the next poll joins anew."""
        _log.warning("a member is given up", group=self.group, error=str(error))
        self._absent = True
        if held := membership.numbers(consumer.assignment()):
            self._changes.append(Lost(partitions=held))
        await membership.stop(consumer)

    async def close(self) -> None:
        """Leave the group and close the connections; nothing is committed by itself."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await membership.stop(consumer)
        await self._oldest.close()
        await self._brokers.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def poll(self, *, timeout_ms: int, max_records: int | None = None) -> Polled:
        """What is new: changes at once, records within `timeout_ms`, else nothing.

        Raises PositionLost when records are gone that this group has not read, AccessRefused, Unavailable.
        """
        consumer = self._member
        if self._changes:
            return await self._settle(consumer)
        if self._absent:
            await self._enter()
            return Polled()
        try:
            found = await consumer.getmany(timeout_ms=timeout_ms, max_records=max_records)
        except kafka.OffsetOutOfRangeError as error:
            raise PositionLost(f"group {self.group}: the log of topic {self.topic} was cut below its offset") from error
        except (kafka.KafkaError, OSError) as error:
            if not membership.given_up(consumer):
                raise outcomes.failure(error, f"reading topic {self.topic}") from error
            await self._leave(consumer, error)
            return Polled()
        records = tuple(_record(each) for batch in found.values() for each in batch)
        return Polled(records=records)

    def pause(self, partitions: Iterable[int]) -> None:
        """Give no more records of these partitions; those that are not held are passed over."""
        self._member.pause(*self._held(partitions))

    def resume(self, partitions: Iterable[int]) -> None:
        """Give records of these partitions again, from where they stopped."""
        self._member.resume(*self._held(partitions))

    async def commit(self, offsets: Mapping[int, Committed]) -> None:
        """Store offsets, each with its text; raises Fenced when a partition has gone to another member.

        The text may have up to the broker's offset.metadata.max.bytes, or Refused is raised; Unavailable when no
        coordinator answers.
        """
        if len(self._held(offsets)) < len(offsets):
            raise Fenced(f"group {self.group}: the group has given the partitions to another member")
        # The library's own commit forgets its member id when it is refused, and joins again as somebody else; the
        # group then waits for the one it knew, on noida-db 0.2.3 for ever.
        member: Any = self._member._coordinator  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - for its identity
        values = [(partition, value.offset, value.metadata) for partition, value in offsets.items()]
        request = OffsetCommitRequest(
            self.group, member.generation, member.member_id, _KEEP_AS_THE_BROKER_DOES, [(self.topic, values)]
        )
        await coordination.ask(self._brokers, self.group, request, _codes)

    @property
    def _member(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise Unavailable(f"the reader of group {self.group} is closed")
        return self._consumer

    def _held(self, partitions: Iterable[int]) -> list[TopicPartition]:
        wanted = set(partitions)
        return [place for place in self._member.assignment() if place.partition in wanted]

    async def _settle(self, consumer: AIOKafkaConsumer) -> Polled:
        """Give every partition that came its place to begin, then let its records flow."""
        changes = tuple(self._changes)
        del self._changes[: len(changes)]
        last = changes[-1]
        if not isinstance(last, Assigned):
            return Polled(changes=changes)
        started = await self._starts(last.partitions)
        if self._changes:  # another rebalance came meanwhile: its own Assigned follows
            return Polled(changes=changes, started=started)
        for partition, start in started.items():
            consumer.seek(TopicPartition(self.topic, partition), start.offset)
        consumer.resume(*self._held(started))
        return Polled(changes=changes, started=started)

    async def _starts(self, partitions: frozenset[int]) -> dict[int, Committed]:
        stored = await admin.committed(self._brokers, self.group, [(self.topic, number) for number in partitions])
        started: dict[int, Committed] = {}
        for number in sorted(partitions):
            oldest = await self._oldest.earliest(self.topic, number)
            start = stored.get((self.topic, number))
            if start is None and (oldest == 0 or self._accept_gap):
                start = Committed(offset=oldest, metadata="")
            elif start is not None and start.offset < oldest and self._accept_gap:
                start = Committed(offset=oldest, metadata=start.metadata)
            elif start is not None and start.offset > oldest:
                start = await self._within(number, start)
            if start is None or start.offset < oldest:
                had = "has no offset" if start is None else f"stands at {start.offset}"
                raise PositionLost(
                    f"group {self.group} {had} in topic {self.topic}, partition {number}, whose oldest record is "
                    f"{oldest}: records were removed that this group may not have read; accept the gap to go on"
                )
            started[number] = start
        return started

    async def _within(self, number: int, start: Committed) -> Committed:
        """A place to begin at that the topic still reaches: this one, or its end where the gap is accepted."""
        end = await self._oldest.end(self.topic, number)
        if start.offset <= end:
            return start
        if not self._accept_gap:
            raise PositionLost(
                f"group {self.group} stands at {start.offset} in topic {self.topic}, partition {number}, which ends at "
                f"{end}: records that were acknowledged are gone, as after an unclean election or a copy that was put "
                "back; accept the gap to go on"
            )
        return Committed(offset=end, metadata="")


class _Listener(ConsumerRebalanceListener):
    """Notes what the group says, and holds every new partition until its place to begin is known."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        changes: list[Rebalance],
        before_revoke: BeforeRevoke | None,
    ) -> None:
        self._consumer = consumer
        self._changes = changes
        self._before_revoke = before_revoke

    async def on_partitions_revoked(  # pyright: ignore[reportIncompatibleMethodOverride] - the library awaits it
        self, revoked: Iterable[TopicPartition]
    ) -> None:
        partitions = membership.numbers(revoked)
        if not partitions:
            return
        if membership.thrown_out(self._consumer):
            self._changes.append(Lost(partitions=partitions))
            return
        try:
            if self._before_revoke is not None:
                async with asyncio.timeout(BEFORE_REVOKE_SECONDS):
                    await self._before_revoke(partitions)
        finally:
            self._changes.append(Revoked(partitions=partitions))

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        places = list(assigned)
        self._consumer.pause(*places)
        for place in places:
            self._consumer.seek(place, 0)  # replaced before it is resumed; without it the library asks for an offset
        self._changes.append(Assigned(partitions=membership.numbers(places)))


def _codes(reply: Any) -> set[int]:
    return {code for _topic, partitions in reply.topics for _partition, code in partitions}


def _record(found: "ConsumerRecord[bytes | None, bytes | None]") -> InRecord:
    return InRecord(
        topic=found.topic,
        partition=found.partition,
        offset=found.offset,
        timestamp_ms=found.timestamp,
        key=found.key,
        value=found.value,
        headers=tuple((name, value or b"") for name, value in found.headers),
    )
