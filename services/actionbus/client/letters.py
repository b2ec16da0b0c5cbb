"""Dead letters: records that could not be taken in. An operator sends one once more, or sets it aside for good.

What became of a letter stands behind it in its own partition, in the very transaction that sends it. So one that was
sent is never sent twice, however often and by however many it is asked for.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final, Self, TypedDict, Unpack

from actionbus.client.archive import Archive
from actionbus.contracts import dead_letters, identifiers
from actionbus.contracts.dead_letters import Settlement, SettlementKind
from actionbus.contracts.errors import Conflict, Doubt, IdentifierRefused, Refused, Unavailable
from actionbus.contracts.limits import DEFAULT_LIMITS, Limits
from actionbus.contracts.records import InRecord
from actionbus.contracts.run import StepStatus
from actionbus.contracts.topics import DEFAULT_PREFIX, Topics
from actionbus.kafka.admin import Admin
from actionbus.kafka.cluster import Cluster
from actionbus.kafka.codec import Codec
from actionbus.kafka.connection import Connection
from actionbus.kafka.reader import PartitionReader
from actionbus.kafka.transaction import TransactionalProducer

HIDDEN_SECONDS: Final = 90.0  # longer than an open transaction of an orchestrator lasts
HIDDEN_PAUSE_SECONDS: Final = 0.02
_COMMAND: Final = "ActionCommand"


class Settling(TypedDict, total=False):
    """What may be said beside which letter is meant: who asks, why, and which request it is."""

    by: str
    reason: str
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A dead letter as it lies in its topic, and what became of it; ``settlement`` None: it is still open."""

    record: InRecord
    settlement: Settlement | None


async def letters(
    reader: PartitionReader, topic: str, partition: int, *, start: int | None = None
) -> AsyncGenerator[Letter]:
    """The letters of one partition from an offset on (None: the oldest), each with what became of it."""
    settled: dict[int, Settlement] = {}
    first = await reader.earliest(topic, partition) if start is None else start
    end = await reader.end(topic, partition)
    async for records in reader.read_to_end(topic, partition, start=first, end=end):
        for record in records:
            found = dead_letters.settlement(record)
            if found is not None:
                settled.setdefault(found.offset, found)
    async for records in reader.read_to_end(topic, partition, start=first, end=end):
        for record in records:
            if dead_letters.settlement(record) is None:
                yield Letter(record=record, settlement=settled.get(record.offset))


class Letters:
    """The dead letters of an installation. Enter it; it reads topics, so it needs Kafka."""

    def __init__(
        self,
        connection: Connection,
        prefix: str = DEFAULT_PREFIX,
        *,
        codec: Codec | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        self._connection = connection
        self._topics = Topics(prefix)
        self._codec = codec or Codec()
        self._limits = limits
        self._admin = Admin(connection)
        self._cluster = Cluster(connection)
        self._reader = PartitionReader(connection, limits=limits)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for each in (self._admin, self._cluster, self._reader):
                await stack.enter_async_context(each)
            self._opened = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._opened.aclose()

    async def topics(self) -> list[str]:
        """The topics of dead letters that exist, also those of actions that nothing uses any more."""
        before, after = self._around_action()
        return sorted(
            each
            for each in await self._admin.topics()
            if each == self._topics.dead_letters or (each.startswith(before) and each.endswith(after))
        )

    async def all(self, topic: str | None = None) -> AsyncGenerator[Letter]:
        """Every letter that is still kept, oldest first in each partition; raises Refused for another topic."""
        known = await self.topics()
        for name in known if topic is None else [self._known(topic, known)]:
            for partition in range(await self._cluster.partitions(name)):
                async for each in letters(self._reader, name, partition):
                    yield each

    async def find(self, topic: str, partition: int, offset: int) -> Letter:
        """One letter; raises Refused when there is none."""
        self._known(topic, await self.topics())
        if partition < await self._cluster.partitions(topic):
            start = max(offset, await self._reader.earliest(topic, partition))  # what became of it stands behind it
            async for each in letters(self._reader, topic, partition, start=start):
                if each.record.offset == offset:
                    return each
                break
        raise Refused(
            f"{topic} has no letter at partition {partition} offset {offset}, or not any more: see `actionbus dlq list`"
        )

    async def replay(self, topic: str, partition: int, offset: int, **asked: Unpack[Settling]) -> None:
        """Send the record of a letter once more to where it was found, as it was: key, bytes and headers.

        The same request id asked again has one effect. Raises Conflict when it was sent or dropped before, when its
        bytes were too large to be kept, or when it is a command that its run does not wait for any more; Refused when
        there is no such letter; Unavailable when nobody knows whether it was sent: ask again.
        """

        async def send(producer: TransactionalProducer, letter: Letter) -> None:
            original = dead_letters.original(letter.record)
            if original is None:
                raise Conflict(
                    "the letter does not hold the whole record, or not where it was found: look there, until its "
                    "topic forgets it, and ask anew for what it was to do"
                )
            await self._wanted(letter.record)
            producer.append(original.topic, original.partition, [original.record])

        await self._settle(SettlementKind.REPLAYED, (topic, partition, offset), send, asked)

    async def drop(self, topic: str, partition: int, offset: int, **asked: Unpack[Settling]) -> None:
        """Set a letter aside for good: it is listed no more. Raises as ``replay`` does."""

        async def nothing(_producer: TransactionalProducer, _letter: Letter) -> None: ...

        await self._settle(SettlementKind.DROPPED, (topic, partition, offset), nothing, asked)

    async def _settle(
        self,
        kind: SettlementKind,
        place: tuple[str, int, int],
        carry_out: Callable[[TransactionalProducer, Letter], Awaitable[None]],
        asked: Settling,
    ) -> None:
        topic, partition, offset = place
        wanted = Settlement(kind=kind, offset=offset, **asked)
        self._known(topic, await self.topics())
        # Whoever settles a letter of this topic too is fenced from here on, and what it had open is ended: so what is
        # read now stays true until the commit.
        own = [(topic, each) for each in range(await self._cluster.partitions(topic))]
        producer = TransactionalProducer(self._connection, f"{topic}.settling", limits=self._limits, own=own)
        await producer.start()
        try:
            await producer.clear(self._origins(topic))
            await self._catch_up(topic, partition)
            letter = await self.find(topic, partition, offset)
            if wanted.request_id and letter.settlement == wanted:
                return  # the answer to this request was lost
            if letter.settlement is not None:
                raise Conflict(f"the letter was {letter.settlement.words} before")
            producer.begin()
            await carry_out(producer, letter)
            producer.append(topic, partition, [dead_letters.settling(wanted)])
            await producer.commit()
            await producer.marked()
        except Doubt as doubt:
            raise Unavailable(f"nobody knows whether it was {kind.value}, ask again: {doubt}") from doubt
        finally:
            await producer.close()

    def _origins(self, topic: str) -> tuple[str, ...]:
        """The topics that letters of a topic are sent to once more."""
        if topic == self._topics.dead_letters:
            return self._topics.requests, self._topics.results
        before, after = self._around_action()
        return (self._topics.commands(topic.removeprefix(before).removesuffix(after)),)

    def _around_action(self) -> tuple[str, str]:
        """What stands before and behind an action's name in the name of the topic of its letters."""
        before, _, after = self._topics.action_dead_letters("*").partition("*")
        return before, after

    async def _catch_up(self, topic: str, partition: int) -> None:
        """Wait until everything that lies in a partition may be read.

        What became of a letter may stand behind records of somebody else's transaction, which hides it while that is
        open. Raises Unavailable when it stays open.
        """
        if partition >= await self._cluster.partitions(topic):
            return
        place = (topic, partition)
        last = (await self._reader.ends([place], committed=False)).get(place)
        try:
            async with asyncio.timeout(HIDDEN_SECONDS):
                while last is None or await self._reader.end(topic, partition) < last:
                    await asyncio.sleep(HIDDEN_PAUSE_SECONDS)
                    last = last or (await self._reader.ends([place], committed=False)).get(place)
        except TimeoutError as error:
            raise Unavailable(f"a transaction in {topic}, partition {partition}, stays open: ask again") from error

    async def _wanted(self, record: InRecord) -> None:
        """Raise Conflict for a command that its run does not wait for: it would be carried out for nobody."""
        kind, about = record.header("ce_type") or b"", record.header("ce_id") or b""
        if not kind.endswith(f".{_COMMAND}".encode()):
            return
        try:
            command = identifiers.parse_command_id(about.decode("utf-8", "replace"))
        except IdentifierRefused:
            return  # it will be a dead letter again
        shards = await self._cluster.partitions(self._topics.requests)
        archive = Archive(self._connection, self._topics, shards, codec=self._codec, limits=self._limits)
        await archive.start()
        try:
            run = await archive.state(command.run_id)
        finally:
            await archive.close()
        steps = () if run is None else run.steps
        own = "" if run is None else run.incarnation
        if not any(
            (step.path, step.incarnation or own, step.attempt) == (command.path, command.incarnation, command.attempt)
            and step.waits_for_worker
            and command.undo is (step.status is StepStatus.COMPENSATING)
            for step in steps
        ):
            raise Conflict(
                f"run {command.run_id} does not wait for attempt {command.attempt} of {command.path} any more: "
                f"`actionbus runs retry {command.run_id} {command.path}` makes a new one where it is stuck"
            )

    @staticmethod
    def _known(topic: str, known: list[str]) -> str:
        if topic not in known:
            raise Refused(f"{topic} is no topic of dead letters; there are {', '.join(known) or 'none'}")
        return topic
