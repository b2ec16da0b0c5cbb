"""Making the tables anew from the topics, beside the live ones, and changing over once the new ones are as far.

It can be interrupted and begun again: what was unfinished is given up. Projectors go on meanwhile, and follow the
change by themselves: every batch is written to whichever generation is live in its own transaction.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from actionbus.contracts.errors import RecordUnreadable
from actionbus.contracts.identifiers import POSITION_KEY
from actionbus.contracts.records import InRecord
from actionbus.contracts.run import WorkflowRun
from actionbus.contracts.topics import Topics
from actionbus.kafka.cluster import Cluster
from actionbus.kafka.reader import PartitionReader
from actionbus.process.settings import Settings
from actionbus.projector import intake
from actionbus.projector.intake import Raw
from actionbus.visibility import completing, generations
from actionbus.visibility.database import Database
from actionbus.visibility.tables import POSITIONS
from actionbus.visibility.writing import Writer

NEAR: Final = 5_000  # offsets between both generations: the rest is read while projectors wait


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rebuild is: events written, and offsets of the topic passed of how many."""

    events: int
    passed: int
    total: int


Tell = Callable[[Progress], None]


async def rebuild(settings: Settings, tell: Tell) -> int:
    """Make the tables anew and change over to them; the number of the new generation.

    Raises Unavailable, AccessRefused, TopicMissing or SettingsRefused; the live tables are then as they were.
    """
    async with Database(settings.visibility.url.get_secret_value()) as database:
        await database.migrate()
        connection = settings.kafka.connection("actionbus-rebuild")
        async with Cluster(connection) as cluster:
            partitions = await cluster.partitions(Topics(settings.prefix).events)
        async with PartitionReader(connection, limits=settings.limits) as reader:
            return await _Rebuild(settings, database, reader, partitions, tell).run()


class _Rebuild:
    """One rebuild under way."""

    def __init__(
        self, settings: Settings, database: Database, reader: PartitionReader, partitions: int, tell: Tell
    ) -> None:
        self._topics = Topics(settings.prefix)
        self._codec = settings.registry.codec()
        self._size = settings.projector.batch_events
        self._database, self._reader, self._tell = database, reader, tell
        self._partitions = range(partitions)
        self._generation = 0
        self._writer = Writer()
        self._at: dict[int, int] = {}
        self._first: dict[int, int] = {}
        self._events = 0

    async def run(self) -> int:
        """From the first record to the change."""
        async with self._database.writing() as connection:
            self._generation = await generations.begin(connection)
        for partition in self._partitions:
            self._at[partition] = self._first[partition] = await self._reader.earliest(self._topics.events, partition)
        for partition in self._partitions:
            states = await self._states(partition)
            await self._read(partition)
            await self._complete(states)
        while await self._behind() > NEAR:
            for partition in self._partitions:
                await self._read(partition)
        async with self._database.writing() as connection:
            await completing.carry_over(connection, self._generation, all_read=False)
        await self._change()
        return self._generation

    async def _read(self, partition: int) -> None:
        """To the end of a partition as it is now."""
        end = await self._reader.end(self._topics.events, partition)
        async for records in self._reader.read_to_end(self._topics.events, partition, start=self._at[partition]):
            for begin in range(0, len(records), self._size):
                async with self._database.writing() as connection:
                    await self._write(connection, records[begin : begin + self._size])
                self._writer.committed()
                self._say(partition, end)

    async def _write(self, connection: AsyncConnection, records: Sequence[InRecord]) -> None:
        raw = [Raw(each.partition, each.offset, each.timestamp_ms, each.value) for each in records]
        stretch = await intake.stretch(self._codec, raw)
        written = await self._writer.write(connection, [stretch], self._generation)
        self._events += written.events
        self._at[stretch.partition] = stretch.position

    def _say(self, partition: int, end: int) -> None:
        passed = sum(self._at[each] - self._first[each] for each in self._partitions)
        left = max(0, end - self._at[partition])
        self._tell(Progress(events=self._events, passed=passed, total=passed + left))

    async def _states(self, partition: int) -> list[WorkflowRun]:
        """The runs of a partition by their state. It is read before their events, so none of these is newer."""
        runs: dict[bytes, WorkflowRun] = {}
        async for records in self._reader.read_to_end(self._topics.state, partition):
            for record in records:
                if record.key is None or record.key == POSITION_KEY:
                    continue
                runs.pop(record.key, None)
                if record.value is not None:
                    with suppress(RecordUnreadable):  # of a newer version; its events tell of it
                        runs[record.key] = self._codec.decode(WorkflowRun, record.value)
        return list(runs.values())

    async def _complete(self, states: Sequence[WorkflowRun]) -> None:
        """Runs whose first events are gone from the topic are told by their state."""
        for begin in range(0, len(states), self._size):
            async with self._database.writing() as connection:
                await completing.complete(connection, self._generation, states[begin : begin + self._size])
        self._writer.forget()

    async def _behind(self) -> int:
        async with self._database.reading() as connection:
            return sum((await self._ahead(connection)).values())

    async def _ahead(self, connection: AsyncConnection) -> dict[int, int]:
        """How many offsets the live tables are ahead, by partition."""
        live = await generations.live(connection)
        rows = await connection.execute(
            select(POSITIONS.c.partition, POSITIONS.c.position).where(POSITIONS.c.generation == live)
        )
        return {row.partition: max(0, row.position - self._at.get(row.partition, 0)) for row in rows}

    async def _change(self) -> None:
        """Read what is left while no projector writes, and change over, all in one transaction."""
        async with self._database.writing() as connection:
            await generations.hold(connection)
            for partition, ahead in (await self._ahead(connection)).items():
                if not ahead:
                    continue
                async for records in self._reader.read_to_end(
                    self._topics.events, partition, start=self._at[partition]
                ):
                    await self._write(connection, records)
            await completing.carry_over(connection, self._generation, all_read=True)
            await generations.switch(connection, self._generation)
