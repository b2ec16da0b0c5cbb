"""Writing events into the tables: one transaction for a batch, which any number of writers may repeat.

The position of a partition is a row that the transaction locks first. Records below it are written already and passed
over, so a record that comes twice, or to two writers at once, changes nothing, windows included. A record that comes
under another offset is known by its run's version.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from actionbus.contracts.events import WorkflowEvent
from actionbus.visibility import bulk, generations, loading, projection, telling
from actionbus.visibility.database import unstorable
from actionbus.visibility.incoming import Incoming, Stretch, Written
from actionbus.visibility.standing import RunKey, Standing
from actionbus.visibility.tables import (
    ATTRIBUTES,
    EVENTS,
    LATENCIES,
    POSITIONS,
    RUNS,
    STEPS,
    TASKS,
    UNREADABLE,
    WINDOWS,
)
from actionbus.visibility.tally import Tally

UNREADABLE_BYTES: Final = 65_536  # of a record that cannot be read are kept
REMEMBERED: Final = 20_000  # runs of one partition whose rows need not be read again


@dataclass(slots=True)
class _Memory:
    """Runs as they stand in the rows of one partition at a position: true for as long as nobody else writes there."""

    generation: int
    position: int
    runs: dict[RunKey, Standing] = field(default_factory=dict[RunKey, Standing])


@dataclass(slots=True)
class _Batch:
    """Everything that one transaction writes, beside positions."""

    events: list[tuple[object, ...]] = field(default_factory=list[tuple[object, ...]])
    unreadable: list[tuple[object, ...]] = field(default_factory=list[tuple[object, ...]])
    runs: dict[RunKey, Standing] = field(default_factory=dict[RunKey, Standing])
    tally: Tally = field(default_factory=Tally)


@dataclass(slots=True)
class _Share:
    """What a batch holds of one partition: those of its records that are not written yet, and the runs remembered."""

    stretch: Stretch
    records: Sequence[Incoming]
    memory: _Memory

    @property
    def events(self) -> Iterator[WorkflowEvent]:
        """What changes runs."""
        return (each.event for each in self.records if each.event is not None and each.event.version > 0)


class Writer:
    """Writes batches. It remembers runs that are under way, so that most batches read nothing but positions."""

    def __init__(self) -> None:
        self._memories: dict[int, _Memory] = {}
        self._fresh: dict[int, _Memory] = {}

    async def write(
        self, connection: AsyncConnection, stretches: Sequence[Stretch], generation: int | None = None
    ) -> Written:
        """Write records within a transaction, to the live generation unless one is named: one stretch of a partition.

        Call ``committed`` once the transaction is, or ``forget`` when it is not. Records of which no rows can be made
        are set aside like those that cannot be read: a half of the batch at a time, until they stand alone.
        """
        if generation is None:
            generation = await generations.live(connection, held=True)
        try:
            async with connection.begin_nested():
                return await self._write(connection, stretches, generation)
        except Exception as error:
            if not _blames_a_record(error):
                raise
            self.forget()
            written = Written(generation=generation)
            for part in _parts(stretches, error):
                written += await self.write(connection, part, generation)
            self.forget()
            return written

    async def _write(self, connection: AsyncConnection, stretches: Sequence[Stretch], generation: int) -> Written:
        ordered = sorted(stretches, key=lambda each: each.partition)
        positions = await _locked(connection, generation, [each.partition for each in ordered])
        written, shares, batch = Written(generation=generation), list[_Share](), _Batch()
        self._fresh = {}
        for stretch in ordered:
            share = self._share(generation, positions[stretch.partition], stretch)
            written += Written(generation=generation, repeated=len(stretch.records) - len(share.records))
            if stretch.position > share.memory.position:
                shares.append(share)
        runs = await loading.load(connection, generation, [(each.events, each.memory.runs) for each in shares])
        for share in shares:
            written += self._apply(share, runs, batch)
            share.memory.position = share.stretch.position
            self._fresh[share.stretch.partition] = share.memory
        await _store(connection, generation, batch)
        moved = [each.stretch for each in shares]
        rows = [(generation, each.partition, each.position, each.records[-1].at) for each in moved]
        await bulk.upsert(connection, POSITIONS, rows)
        return written

    def committed(self) -> None:
        """What was written last is committed."""
        for partition, memory in self._fresh.items():
            for key in [key for key, run in memory.runs.items() if run.ended_at is not None]:
                del memory.runs[key]
            while len(memory.runs) > REMEMBERED:
                del memory.runs[next(iter(memory.runs))]
            self._memories[partition] = memory
        self._fresh = {}

    def forget(self) -> None:
        """Nobody knows what became of what was written last: read everything again."""
        self._memories.clear()
        self._fresh = {}

    def _share(self, generation: int, position: int, stretch: Stretch) -> _Share:
        records = [each for each in stretch.records if each.offset >= position]
        memory = self._memories.pop(stretch.partition, None) if stretch.position > position else None
        if memory is None or (memory.generation, memory.position) != (generation, position):
            memory = _Memory(generation, position)
        return _Share(stretch, records, memory)

    def _apply(self, share: _Share, runs: dict[RunKey, Standing], batch: _Batch) -> Written:
        memory, generation, partition = share.memory, share.memory.generation, share.stretch.partition
        new = repeated = verdicts = unreadable = gaps = 0
        for each in share.records:
            event = each.event
            if event is None:
                unreadable += 1
                kept = each.record[:UNREADABLE_BYTES]
                batch.unreadable.append((generation, partition, each.offset, each.at, telling.cut(each.reason), kept))
                continue
            if event.version <= 0:
                verdicts += 1
                continue
            key = (event.run_id, event.incarnation)
            run = runs.get(key)
            if run is None:
                run = runs[key] = projection.begun(event)
                gaps += event.version > 1
                memory.runs[key] = run
            elif event.version <= run.version:
                repeated += 1
                continue
            gaps += event.version > run.version + 1
            projection.apply(run, event, batch.tally)
            batch.runs[key] = run
            batch.events.append((generation, event.run_id, event.incarnation, event.version, event.at, each.record))
            new += 1
        return Written(generation, new, repeated, verdicts, unreadable, gaps)


def _blames_a_record(error: Exception) -> bool:
    """Whether an error comes from what a record says: from a value that no column holds, or from what is made of it."""
    if isinstance(error, SQLAlchemyError):
        return unstorable(error)
    return isinstance(error, ArithmeticError | AttributeError | LookupError | TypeError | ValueError)


def _parts(stretches: Sequence[Stretch], error: Exception) -> list[list[Stretch]]:
    """Two halves, in order; or the one record that is left, as one that cannot be read. Raises for one that was so."""
    if len(stretches) > 1:
        middle = len(stretches) // 2
        return [list(stretches[:middle]), list(stretches[middle:])]
    (stretch,) = stretches
    records = stretch.records
    if len(records) > 1:
        middle = len(records) // 2
        first = Stretch(stretch.partition, records[:middle], records[middle - 1].offset + 1)
        return [[first], [Stretch(stretch.partition, records[middle:], stretch.position)]]
    (one,) = records
    if one.event is None:
        raise error
    reason = f"no rows can be made of it: {type(error).__name__}: {error}".partition("\n")[0]
    return [[Stretch(stretch.partition, [replace(one, event=None, reason=reason)], stretch.position)]]


async def _locked(connection: AsyncConnection, generation: int, partitions: Sequence[int]) -> Mapping[int, int]:
    """The positions of partitions, which no other writer can move before this transaction has ended.

    Whoever locks several does it in their order, so writers that meet wait and do not block.
    """
    query = (
        select(POSITIONS.c.partition, POSITIONS.c.position)
        .where(POSITIONS.c.generation == generation, POSITIONS.c.partition.in_(partitions))
        .order_by(POSITIONS.c.partition)
        .with_for_update()
    )
    found = {row.partition: row.position for row in await connection.execute(query)}
    if len(found) == len(partitions):
        return found
    begun = [(generation, each, 0, 0) for each in partitions if each not in found]
    await bulk.insert(connection, POSITIONS, begun)
    return {row.partition: row.position for row in await connection.execute(query)}


async def _store(connection: AsyncConnection, generation: int, batch: _Batch) -> None:
    runs = list(batch.runs.values())
    await bulk.insert(connection, EVENTS, batch.events)
    await bulk.insert(connection, UNREADABLE, batch.unreadable)
    await bulk.upsert(connection, RUNS, [loading.run_row(generation, run) for run in runs])
    await _rename(connection, generation, runs)
    await bulk.upsert(connection, STEPS, [row for run in runs for row in loading.node_rows(generation, run)])
    await bulk.upsert(
        connection,
        ATTRIBUTES,
        [(generation, *run.key, name, value) for run in runs for name, value in run.attributes.items()],
    )
    await _store_tasks(connection, generation, runs)
    tally = batch.tally
    await bulk.add(connection, WINDOWS, [(generation, *key, *counts) for key, counts in tally.windows()])
    await bulk.add(connection, LATENCIES, [(generation, *key, bucket, n) for key, bucket, n in tally.latencies()])
    for run in runs:
        run.settle()


async def _rename(connection: AsyncConnection, generation: int, runs: Sequence[Standing]) -> None:
    """Nodes that have other names now; it is rare, so each is a statement of its own."""
    for run in runs:
        for old, new in run.renamed.items():
            for table in (STEPS, TASKS):
                where = (table.c.generation == generation, table.c.run_id == run.run_id)
                same = (table.c.incarnation == run.incarnation, table.c.path == old)
                await connection.execute(update(table).where(*where, *same).values(path=new))


async def _store_tasks(connection: AsyncConnection, generation: int, runs: Sequence[Standing]) -> None:
    """Tasks that were closed go first: one may have been opened again at the same path."""
    tasks = [((generation, *run.key, path), run, task) for run in runs for path, task in run.tasks.items()]
    key = ("generation", "run_id", "incarnation", "path")
    await bulk.delete(connection, TASKS, key[:3], [(generation, *run.key) for run in runs if run.closes_all_tasks])
    await bulk.delete(connection, TASKS, key, [path for path, _, task in tasks if task.closed])
    opened = [
        (*path, run.workflow, task.form, task.title, task.assignee, task.opened_at, task.due_at, task.overdue)
        for path, run, task in tasks
        if task.opened and not task.closed
    ]
    await bulk.upsert(connection, TASKS, opened)
    later = [(path, task) for path, _, task in tasks if not task.opened and not task.closed]
    assigned = [(*path, task.assignee) for path, task in later if task.reassigned]
    await bulk.change(connection, TASKS, (*key, "assignee"), assigned)
    await bulk.change(connection, TASKS, (*key, "overdue"), [(*path, True) for path, task in later if task.overdue])
