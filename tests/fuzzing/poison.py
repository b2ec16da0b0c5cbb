"""Writes hostile records into every topic of a live installation, and accounts for each of them.

A record of requests, results and commands is a dead letter, byte for byte, or it was answered as any other would be:
a request by a verdict, a result by the count of forged ones. Elsewhere it is passed over, and counted where it is.
"""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Self

from actionbus.contracts.commands import WorkerControl
from actionbus.contracts.dead_letters import PREFIX
from actionbus.contracts.errors import RecordUnreadable
from actionbus.contracts.events import EntryKind, WorkflowEvent
from actionbus.contracts.identifiers import POSITION_KEY, RUN_ID
from actionbus.contracts.positions import ShardPosition
from actionbus.contracts.records import InRecord, OutRecord
from actionbus.contracts.run import WorkflowRun
from actionbus.contracts.topics import Topics
from actionbus.kafka.cluster import Cluster
from actionbus.kafka.codec import Codec
from actionbus.kafka.connection import Connection
from actionbus.kafka.reader import PartitionReader
from fuzzing import sending
from fuzzing.hostile import STRANGE_NAME, Hostile, Role, World, hostile

KEPT = (Role.REQUESTS, Role.RESULTS, Role.COMMANDS)  # of which dead letters are made
SHARES: Mapping[Role, int] = {
    Role.REQUESTS: 35,
    Role.RESULTS: 25,
    Role.COMMANDS: 20,
    Role.EVENTS: 10,
    Role.CONTROL: 5,
    Role.DEFINITIONS: 3,
    Role.STATE: 2,
}
VERDICTS = (EntryKind.REQUEST_ACCEPTED, EntryKind.REQUEST_REJECTED)
AT_ONCE = 500  # records on their way to one partition
PATIENCE_SECONDS = 600.0  # without any progress: a hang is a failure, slowness is not
CODEC = Codec()
Place = tuple[str, int, int]


@dataclass
class Accounting:
    """What was sent, and what became of it."""

    sent: Counter[Role] = field(default_factory=Counter)
    letters: Counter[Role] = field(default_factory=Counter)
    shortened: int = 0
    """Of the letters, those too large to be kept whole; they say so."""
    verdicts: int = 0
    ignored: Counter[str] = field(default_factory=Counter)
    """By the metrics of the services, since the beginning."""
    harmless: Counter[Role] = field(default_factory=Counter)
    """Of what no dead letters are made, those that are read: they mean something, and nothing to anybody."""
    events: int = 0
    """Everything that stands in the events topic since the beginning."""
    wrong: list[str] = field(default_factory=list)
    """Letters that are not what was sent."""

    @property
    def open(self) -> int:
        """How many of the requests, results and commands are neither kept nor answered yet."""
        kept = sum(self.letters.values())
        return sum(self.sent[role] for role in KEPT) - kept - self.verdicts - self.ignored["forged"]

    @property
    def balanced(self) -> bool:
        """Every one of them has had exactly one end, and requests had theirs, as far as they can be told apart."""
        return (
            self.open == 0
            and self.sent[Role.REQUESTS] == self.letters[Role.REQUESTS] + self.verdicts
            and not self.wrong
        )

    def __str__(self) -> str:
        lines = [
            f"{role.value}: {self.sent[role]} sent, {self.letters[role]} dead letters"
            for role in Role
            if self.sent[role]
        ]
        lines += [f"verdicts on requests: {self.verdicts}", f"letters that had to be shortened: {self.shortened}"]
        lines += [f"{name}: {count}" for name, count in sorted(self.ignored.items())]
        lines += [f"sent {sum(self.sent.values())}, open {self.open}, wrong {len(self.wrong)} {self.wrong[:3]}"]
        return "\n".join(lines)


Counts = Callable[[], Mapping[str, float]]
"""What the services count, by name; ``forged`` is needed, and anything else is told as it is."""


class Poisoner:
    """Writes batch after batch, and waits for the end of each. Enter it before the first."""

    def __init__(
        self,
        connection: Connection,
        prefix: str,
        *,
        shards: int,
        action: str,
        action_partitions: int,
        counts: Counts,
        seed: int,
    ) -> None:
        topics = Topics(prefix)
        self.accounting = Accounting()
        self.world = World(topics=topics, shards=shards, action=action, action_partitions=action_partitions)
        self._seed, self._counts = seed, counts
        self._brokers, self._reader = Cluster(connection), PartitionReader(connection)
        self._digests: dict[Place, bytes] = {}
        self._ours: set[Place] = set()  # among the events
        self._at: dict[tuple[str, int], int] = {}
        self._watched = [(topics.dead_letters, each) for each in range(shards)]
        self._watched += [(topics.action_dead_letters(action), each) for each in range(action_partitions)]
        self._watched += [(topics.events, each) for each in range(shards)]
        self._roles = {self.world.topic(role): role for role in Role}

    async def __aenter__(self) -> Self:
        await self._brokers.start()
        await self._reader.start()
        self._at = {place: await self._reader.end(*place) for place in self._watched}
        self._before = dict(await asyncio.to_thread(self._counts))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._reader.close()
        await self._brokers.close()

    async def send(self, first: int, count: int) -> None:
        """Write the records with these numbers."""
        dice = random.Random(f"{self._seed}/{first}")  # noqa: S311 - the same again
        made: defaultdict[tuple[str, int], list[Hostile]] = defaultdict(list)
        for number, role in enumerate(dice.choices(list(SHARES), list(SHARES.values()), k=count), start=first):
            one = hostile(self.world, role, number, self._seed)
            made[self.world.topic(role), one.partition].append(one)
        await asyncio.gather(*(self._write(*place, each) for place, each in made.items()))

    async def _write(self, topic: str, partition: int, made: Sequence[Hostile]) -> None:
        for begin in range(0, len(made), AT_ONCE):
            part = made[begin : begin + AT_ONCE]
            offsets = await sending.write(self._brokers, topic, partition, [each.record for each in part])
            for each, offset in zip(part, offsets, strict=True):
                self.accounting.sent[each.role] += 1
                if each.role in KEPT:
                    self._digests[topic, partition, offset] = digest(each.record)
                elif taken(each):
                    self.accounting.harmless[each.role] += 1
                if each.role is Role.EVENTS:
                    self._ours.add((topic, partition, offset))

    async def settle(self) -> None:
        """Return when everything that was sent is accounted for; raises AssertionError when nothing moves any more."""
        loop = asyncio.get_running_loop()
        last, since = self.accounting.open, loop.time()
        while True:
            await self.look()
            if self.accounting.open <= 0:
                return
            if self.accounting.open != last:
                last, since = self.accounting.open, loop.time()
            assert loop.time() - since < PATIENCE_SECONDS, f"{last} records are not accounted for\n{self.accounting}"
            await asyncio.sleep(0.2)

    async def look(self) -> None:
        """Read what has come since."""
        for topic, partition in self._watched:
            async for records in self._reader.read_to_end(topic, partition, start=self._at[topic, partition]):
                for record in records:
                    self._note(record)
                self._at[topic, partition] = records[-1].offset + 1
        now = await asyncio.to_thread(self._counts)
        self.accounting.ignored = Counter({name: int(value - self._before.get(name, 0)) for name, value in now.items()})

    def _note(self, record: InRecord) -> None:
        if record.topic == self.world.topics.events:
            self.accounting.events += 1
            self._verdict(record)
        else:
            self._letter(record)

    def _verdict(self, record: InRecord) -> None:
        if (record.topic, record.partition, record.offset) in self._ours or (record.key or b"").startswith(b"order-"):
            return
        try:
            event = CODEC.decode(WorkflowEvent, record.value)
        except RecordUnreadable:
            return
        self.accounting.verdicts += sum(entry.kind in VERDICTS for entry in event.entries)

    def _letter(self, letter: InRecord) -> None:
        told = dict(letter.headers[-9:])  # what is said about it stands behind its own
        topic = (told.get(f"{PREFIX}original-topic") or b"").decode()
        place = (topic, int(told[f"{PREFIX}original-partition"]), int(told[f"{PREFIX}original-offset"]))
        self.accounting.letters[self._roles[topic]] += 1
        if f"{PREFIX}truncated" in told:
            self.accounting.shortened += 1
            self._digests.pop(place, None)
            return
        own = tuple(each for each in letter.headers if not each[0].startswith(PREFIX))
        expected = self._digests.pop(place, None)
        if expected is not None and expected != digest(OutRecord(key=letter.key, value=letter.value, headers=own)):
            self.accounting.wrong.append(f"{place} was kept as {letter.key!r:.40} {letter.value!r:.40}")


def taken(one: Hostile) -> bool:
    """Whether a record that is no input says something after all: damage does not always hit what matters."""
    key, value = one.record.key, one.record.value
    if one.role is Role.DEFINITIONS:
        return value is None  # what was deployed stays
    model = {Role.CONTROL: WorkerControl, Role.EVENTS: WorkflowEvent, Role.STATE: WorkflowRun}[one.role]
    try:
        record = CODEC.decode(ShardPosition if one.role is Role.STATE and key == POSITION_KEY else model, value)
    except RecordUnreadable:
        return False
    if isinstance(record, WorkflowRun):
        return record.run_id.encode() == key and RUN_ID.fullmatch(record.run_id) is not None
    return True


def digest(record: OutRecord) -> bytes:
    """What a letter has to keep of a record; no value and an empty one are the same to some brokers."""
    shown = [
        (name.replace(STRANGE_NAME, "\ufffd" * len(STRANGE_NAME)), value)
        for name, value in record.headers
        if not name.startswith(PREFIX)
    ]
    return blake2b(
        repr((record.key, record.value or b"", shown)).encode("utf-8", "surrogatepass"), digest_size=12
    ).digest()
