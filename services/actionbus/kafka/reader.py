"""Reading partitions from an offset that the caller knows: to the end as it is now, and on from there. No groups.

No offset is ever chosen silently. A position that the log does not hold is `PositionLost`.
"""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from typing import Final, Literal, Self

from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest

from actionbus.contracts.errors import ActionbusError, PositionLost, Unavailable
from actionbus.contracts.limits import DEFAULT_LIMITS, Limits
from actionbus.contracts.records import InRecord
from actionbus.kafka import clients, cluster, offsets, outcomes, pages
from actionbus.kafka.batches import Partition
from actionbus.kafka.connection import Connection

Isolation = Literal["read_uncommitted", "read_committed"]
BACKOFF_SECONDS: Final = 0.05
GATHER_SECONDS: Final = 0.002  # after records came: half of what a step takes, so a single run never waits for it
PEEK_BYTES: Final = 65_536  # one batch comes at least, whatever its size
PEEKS: Final = 16  # batches of markers or aborted records that a look at one record passes over
PEEK_LANE: Final = "peek"
PROGRESS_SECONDS: Final = 60.0  # how long a read to the end may stand still
_EARLIEST: Final = -2
_NO_RECORD: Final = -1


class PartitionReader:
    """Reads any number of partitions over connections of its own."""

    def __init__(
        self, connection: Connection, *, isolation: Isolation = "read_committed", limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self._cluster = cluster.Cluster(connection)
        self._committed = isolation == "read_committed"
        self._fetch_bytes = limits.fetch_bytes
        self._lanes = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Connect; raises Unavailable or AccessRefused."""
        await self._cluster.start()

    async def close(self) -> None:
        """End what is being read and close the connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._cluster.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def earliest(self, topic: str, partition: int) -> int:
        """The offset of the oldest record that the log still holds; raises TopicMissing, Unavailable or a refusal."""
        return await self._offset((topic, partition), _EARLIEST)

    async def end(self, topic: str, partition: int) -> int:
        """The offset after the last record that may be read now; raises TopicMissing, Unavailable or a refusal.

        With read_committed that is the last stable offset: it stands before the first open transaction.
        """
        return await self._offset((topic, partition), offsets.LATEST)

    async def since(self, topic: str, partition: int, time_ms: int) -> int:
        """The offset of the first record written at or after a time, or the end; raises as `end` does."""
        found = await self._offset((topic, partition), time_ms)
        return await self.end(topic, partition) if found == _NO_RECORD else found

    async def ends(self, places: Iterable[Partition], *, committed: bool | None = None) -> dict[Partition, int]:
        """The ends of many partitions, with one question to each broker; what no broker answers for now is left out.

        ``committed``: as seen by readers of committed records, or of all; None: as this reader sees them.
        """
        return await offsets.ends(self._cluster, places, committed=self._committed if committed is None else committed)

    async def written_at(self, topic: str, partition: int, start: int, end: int) -> int | None:
        """When the first record between two offsets was written, epoch milliseconds.

        None: there are none but markers and aborted ones. It mostly reads one batch, and asks once. Raises Unavailable
        when no broker answers now, PositionLost where the log does not reach that far, or what the broker refused.
        """
        what = f"looking at topic {topic}, partition {partition}, at {start}"
        for _ in range(PEEKS):
            if start >= end:
                break
            try:
                node = await self._cluster.find_leader(topic, partition)
                (page,) = await self._fetch(node, {(topic, partition): start}, PEEK_LANE, most=PEEK_BYTES)
            except cluster.Silence as error:
                raise outcomes.failure(error, what) from error
            if page.code != outcomes.NONE:
                raise await self._refused(page, start)
            if page.records:
                return page.records[0].timestamp_ms
            start = page.next_offset
        return None

    async def read_to_end(
        self, topic: str, partition: int, *, start: int | None = None, end: int | None = None
    ) -> AsyncIterator[list[InRecord]]:
        """The records from `start` (None: the oldest) up to, not including, `end` (None: the end as it is now).

        It ends also when nothing but markers and aborted records is left. Raises PositionLost when the log does not
        hold `start`, Unavailable when the broker gives nothing for PROGRESS_SECONDS.
        """
        place = (topic, partition)
        position = await self.earliest(topic, partition) if start is None else start
        last = await self.end(topic, partition) if end is None else end
        lane = f"read-{next(self._lanes)}"
        try:
            while position < last:
                page = await self._next_page(place, position, lane)
                if page.records:
                    within = [record for record in page.records if record.offset < last]
                    if within:
                        yield within
                position = page.next_offset
        finally:
            self._cluster.close_lane(lane)

    async def follow(self, positions: Mapping[Partition, int]) -> AsyncGenerator[list[InRecord]]:
        """The records from these offsets on, for ever; each list is of one partition, in order.

        The next records are fetched while the caller works on the last ones; at most one list for each broker waits.
        A broker that is away is waited for. Raises PositionLost, TopicMissing, AccessRefused. Close the iterator
        (`contextlib.aclosing`) to end it.
        """
        lane = f"follow-{next(self._lanes)}"
        course = _Course(dict(positions))
        try:
            while True:
                for node in await self._unserved(course):
                    task = asyncio.create_task(self._serve(node, course, lane))
                    course.serving[node] = task
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
                found = await course.found.get()
                if isinstance(found, Exception):
                    raise found
                if found:
                    yield found
        finally:
            for task in course.serving.values():
                task.cancel()
            self._cluster.close_lane(lane)

    async def _unserved(self, course: "_Course") -> set[int]:
        if course.settled:
            return set()
        course.settled = True
        while True:
            try:
                nodes = {await self._cluster.find_leader(*place) for place in course.positions}
            except Unavailable:
                await self._wait_for_leaders()
            else:
                return {node for node in nodes if node not in course.serving}

    async def _serve(self, node: int, course: "_Course", lane: str) -> None:
        """Fetch what this broker leads until it leads nothing of it any more."""
        clock = asyncio.get_running_loop().time
        pause = clients.IDLE_SECONDS
        try:
            while wanted := {p: at for p, at in course.positions.items() if self._cluster.leader(*p) == node}:
                moved, brought, asked = False, False, clock()
                for page in await self._fetch(node, wanted, lane):
                    moved = moved or page.code in outcomes.RETRIABLE_FETCH
                    if page.code != outcomes.NONE and page.code not in outcomes.RETRIABLE_FETCH:
                        raise await self._refused(page, wanted[page.place])
                    course.positions[page.place] = page.next_offset
                    if page.records:
                        await course.found.put(page.records)
                        brought = True
                if moved:
                    await self._wait_for_leaders()
                    break
                # A fetch costs both sides more than the records in it: what comes close behind travels in the next one.
                # A broker waits for records before it answers with none. The embedded one does not, and would be asked
                # thousands of times a second.
                at_once = not brought and clock() - asked < clients.AT_ONCE_SECONDS
                if brought or at_once:
                    await asyncio.sleep(GATHER_SECONDS if brought else pause)
                pause = min(2 * pause, clients.IDLE_MAX_SECONDS) if at_once else clients.IDLE_SECONDS
        except cluster.Silence:
            await self._wait_for_leaders()
        except ActionbusError as error:
            await course.found.put(error)
        course.serving.pop(node, None)
        course.settled = False
        await course.found.put([])

    async def _wait_for_leaders(self) -> None:
        await asyncio.sleep(BACKOFF_SECONDS)
        await self._cluster.refresh()

    async def _next_page(self, place: Partition, position: int, lane: str) -> pages.Page:
        what = f"reading topic {place[0]}, partition {place[1]}, at {position}"
        last: ActionbusError = Unavailable(f"{what}: the broker gave nothing for {PROGRESS_SECONDS:g} s")
        try:
            async with asyncio.timeout(PROGRESS_SECONDS):
                while True:
                    try:
                        node = await self._cluster.find_leader(*place)
                        (page,) = await self._fetch(node, {place: position}, lane)
                    except cluster.Silence as error:
                        last = outcomes.failure(error, what)
                    else:
                        if page.code == outcomes.NONE and page.next_offset > position:
                            return page
                        if page.code not in outcomes.RETRIABLE_FETCH | {outcomes.NONE}:
                            raise await self._refused(page, position)
                    await self._wait_for_leaders()
        except TimeoutError as error:
            raise last from error

    async def _fetch(
        self, node: int, wanted: dict[Partition, int], lane: str, *, most: int | None = None
    ) -> list[pages.Page]:
        topics: defaultdict[str, list[tuple[int, int, int]]] = defaultdict(list)
        for (topic, partition), position in wanted.items():
            topics[topic].append((partition, position, most or self._fetch_bytes))
        request = FetchRequest(
            clients.FETCH_MAX_WAIT_MS, 1, clients.FETCH_MAX_BYTES, int(self._committed), list(topics.items())
        )
        reply = await self._cluster.send(node, request, lane=lane)
        return pages.pages(reply, wanted, committed=self._committed)

    async def _refused(self, page: pages.Page, position: int) -> ActionbusError:
        topic, partition = page.place
        what = f"reading topic {topic}, partition {partition}, at {position}"
        if page.code != outcomes.OFFSET_OUT_OF_RANGE:
            return outcomes.refusal(page.code, what)
        first, last = await self.earliest(topic, partition), await self.end(topic, partition)
        return PositionLost(f"{what}: the log holds {first} to {last}; decide what to do about the records between")

    async def _offset(self, place: Partition, which: int) -> int:
        topic, partition = place
        what = f"asking for offsets of topic {topic}, partition {partition}"
        request = OffsetRequest(offsets.CONSUMER, int(self._committed), [(topic, [(partition, which)])])
        last: ActionbusError = Unavailable(what)
        try:
            async with asyncio.timeout(PROGRESS_SECONDS):
                while True:
                    try:
                        reply = await self._cluster.send(await self._cluster.find_leader(topic, partition), request)
                    except cluster.Silence as error:
                        last = outcomes.failure(error, what)
                    else:
                        code, _time, offset = reply.topics[0][1][0][1:4]
                        if code == outcomes.NONE:
                            return int(offset)
                        last = outcomes.refusal(code, what)
                        if code not in outcomes.RETRIABLE_FETCH:
                            raise last
                    await self._wait_for_leaders()
        except TimeoutError as error:
            raise last from error


class _Course:
    """Where one `follow` stands: shared by its iterator and the tasks that fetch for it."""

    def __init__(self, positions: dict[Partition, int]) -> None:
        self.positions = positions
        self.found: asyncio.Queue[list[InRecord] | Exception] = asyncio.Queue(maxsize=1)
        self.serving: dict[int, asyncio.Task[None]] = {}
        self.settled = False  # every partition has a task that fetches it
