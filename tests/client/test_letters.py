"""Dead letters: sent once more exactly once, set aside, and never a command for nobody. On both brokers."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer

from actionbus.client.letters import Letters
from actionbus.contracts import identifiers
from actionbus.contracts.dead_letters import SettlementKind, dead_letter
from actionbus.contracts.errors import ActionbusError, Conflict, Refused
from actionbus.contracts.records import InRecord, OutRecord
from actionbus.contracts.run import StepState, StepStatus
from actionbus.contracts.topics import Topics
from actionbus.kafka.codec import Codec
from actionbus.kafka.partitioning import partition_for
from actionbus.kafka.producer import IdempotentProducer
from actionbus.kafka.reader import PartitionReader
from contracts import samples
from support.topics import SECONDS
from support.topics import topic as make

BROKEN = ValueError("it is no record")
HEADERS = (("content-type", b"application/json"), ("mine", b"\x00\xff"))


class House:
    """The topics of an installation, and what lies in them."""

    def __init__(self, connection, prefix) -> None:
        self.connection, self.topics = connection, Topics(prefix)
        self.commands = self.topics.commands("charge")
        self.letters = self.topics.dead_letters

    async def build(self) -> None:
        """Make the topics."""
        for name in (self.letters, self.topics.action_dead_letters("charge"), self.commands):
            await make(self.connection, name, partitions=2)
        for name in (self.topics.requests, self.topics.state):
            await make(self.connection, name, partitions=2)

    async def write(self, topic: str, partition: int, record: OutRecord) -> int:
        """Write a record; its offset."""
        async with IdempotentProducer(self.connection) as producer:
            return await producer.append(topic, partition, [record])

    async def read(self, topic: str, partition: int, count: int = 0) -> list[InRecord]:
        """All records of a partition, as soon as there are so many: a commit is answered before its markers are there."""
        async with asyncio.timeout(SECONDS), PartitionReader(self.connection) as reader:
            while True:
                found = [record async for records in reader.read_to_end(topic, partition) for record in records]
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.01)

    async def letter(
        self, topic: str | None = None, *, into: str | None = None, partition=1, largest=100_000, **fields
    ):
        """A letter about a record of a topic; its offset."""
        given = {"key": b"k", "value": b"\xffbytes", "headers": HEADERS, **fields}
        found = InRecord(topic=topic or self.topics.requests, partition=1, offset=7, timestamp_ms=5, **given)
        made = dead_letter(found, group="shard", error=BROKEN, largest=largest)
        return await self.write(into or self.letters, partition, made)


@pytest.fixture
async def house(connection, prefix):
    """An installation with nobody in it."""
    made = House(connection, prefix)
    await made.build()
    return made


async def test_a_letter_is_sent_once_more_as_it_was_and_never_twice(house: House, prefix: str) -> None:
    """Key, bytes and headers of its record, to the partition where that was; whoever asks again hears that it was."""
    offset = await house.letter()
    async with Letters(house.connection, prefix) as letters:
        (letter,) = [each async for each in letters.all()]
        assert (letter.record.offset, letter.settlement) == (offset, None)
        await letters.replay(house.letters, 1, offset, by="Ann", reason="mended")
        (sent,) = await house.read(house.topics.requests, 1, 1)
        assert (sent.key, sent.value, sent.headers) == (b"k", b"\xffbytes", HEADERS)
        with pytest.raises(Conflict):  # by which time the word of it can be read
            await letters.replay(house.letters, 1, offset)
        (letter,) = [each async for each in letters.all()]
        assert letter.settlement is not None
        assert (letter.settlement.kind, letter.settlement.words) == (SettlementKind.REPLAYED, "replayed by Ann: mended")
        for verb in (letters.replay, letters.drop):
            with pytest.raises(Conflict, match="replayed by Ann: mended before"):
                await verb(house.letters, 1, offset)
    assert len(await house.read(house.topics.requests, 1, 1)) == 1


async def test_of_many_who_ask_at_once_one_sends(house: House, prefix: str) -> None:
    """The others are fenced, or hear that it was done."""
    offset = await house.letter()

    async def ask() -> str:
        async with Letters(house.connection, prefix) as letters:
            try:
                await letters.replay(house.letters, 1, offset)
            except ActionbusError as error:
                return type(error).__name__
            return "done"

    said = await asyncio.gather(*(ask() for _ in range(5)))
    async with Letters(house.connection, prefix) as letters:  # nobody may have got through; then it is still open
        if (await letters.find(house.letters, 1, offset)).settlement is None:
            await letters.replay(house.letters, 1, offset)
    assert said.count("done") <= 1
    assert len(await house.read(house.topics.requests, 1, 1)) == 1


async def test_a_letter_is_set_aside(house: House, prefix: str) -> None:
    """It is not sent, also not later; the one beside it is untouched."""
    dropped, kept = await house.letter(), await house.letter()
    async with Letters(house.connection, prefix) as letters:
        await letters.drop(house.letters, 1, dropped)
        with pytest.raises(Conflict, match="was dropped before"):
            await letters.replay(house.letters, 1, dropped)
        found = {each.record.offset: each.settlement and each.settlement.kind async for each in letters.all()}
    assert found == {dropped: SettlementKind.DROPPED, kept: None}
    assert await house.read(house.topics.requests, 1) == []


async def test_a_letter_that_lost_its_bytes_is_not_sent(house: House, prefix: str) -> None:
    """What was too large to be kept is looked for where it was found."""
    offset = await house.letter(value=b"x" * 5_000, largest=2_000)
    async with Letters(house.connection, prefix) as letters:
        with pytest.raises(Conflict, match="does not hold the whole record"):
            await letters.replay(house.letters, 1, offset)
        await letters.drop(house.letters, 1, offset)


@pytest.mark.parametrize("waits", [True, False])
async def test_a_command_is_sent_only_while_its_run_waits_for_it(house: House, prefix: str, waits) -> None:
    """Else it would be carried out for nobody: the run was answered, or has gone on."""
    step = StepState(
        path="pay", status=StepStatus.SCHEDULED, action="charge", attempt=2 if waits else 3, dispatch_seq=9
    )
    run = samples.RUN.replace(steps=(step,))
    shard = partition_for(run.run_id.encode(), 2)
    await house.write(house.topics.state, shard, OutRecord(key=run.run_id.encode(), value=Codec().encode(run)))
    command = identifiers.command_id(identifiers.step_key(run.run_id, run.incarnation, "pay"), 2)
    headers = (("ce_type", b"actionbus.v1.ActionCommand"), ("ce_id", command.encode()))
    into = house.topics.action_dead_letters("charge")
    offset = await house.letter(house.commands, into=into, headers=headers)
    async with Letters(house.connection, prefix) as letters:
        if waits:
            await letters.replay(into, 1, offset)
        else:
            with pytest.raises(Conflict, match="does not wait for attempt 2 of pay any more: `actionbus runs retry"):
                await letters.replay(into, 1, offset)
    assert len(await house.read(house.commands, 1, int(waits))) == waits


async def test_what_is_no_letter_is_refused(house: House, prefix: str) -> None:
    """Another topic, a place without a letter, a partition that is not there."""
    await house.letter()
    async with Letters(house.connection, prefix) as letters:
        with pytest.raises(Refused, match="is no topic of dead letters"):
            await letters.replay(house.topics.requests, 0, 0)
        for partition, offset in ((0, 0), (1, 99), (7, 0)):
            with pytest.raises(Refused, match="has no letter at partition"):
                await letters.drop(house.letters, partition, offset)


async def test_whoever_settles_waits_for_what_others_hide(house: House, prefix: str) -> None:
    """While an orchestrator writes letters, what follows them cannot be read: that a letter was sent, for example."""
    offset = await house.letter()
    other = AIOKafkaProducer(
        bootstrap_servers=house.connection.bootstrap_servers, transactional_id=f"{prefix}.shard.0.a"
    )
    await other.start()
    try:
        await other.begin_transaction()
        await other.send_and_wait(house.letters, b"another letter", partition=1)
        async with Letters(house.connection, prefix) as letters:
            asking = asyncio.create_task(letters.replay(house.letters, 1, offset))
            await asyncio.wait([asking], timeout=1)
            assert not asking.done()
            await other.commit_transaction()
            await asking
    finally:
        await other.stop()
    assert len(await house.read(house.topics.requests, 1, 1)) == 1
