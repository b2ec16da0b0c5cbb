"""Faust's driver for aiokafka, overridden in four places; the version of Faust is exact because of it.

Faust reads uncommitted records unless it is in its exactly-once mode, and takes its client settings from its own. Here
the consumer is made where all clients of this product are made, so that it reads committed records, and TLS, SASL and
timeouts are those of everybody else. And it begins where the tables end, not where the group's offsets say: those are
for tools that watch the lag, and Faust moves them also for records whose writing was interrupted. Third, what one fetch
brought goes through Faust as bundles of records: each message costs it 150 us, twice what all the rest takes. They are
decoded before they wait for their turn, which is while the database writes those before them.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from actionbus.contracts.errors import PositionLost
from actionbus.contracts.limits import Limits
from actionbus.kafka import clients
from actionbus.kafka.connection import Connection
from actionbus.projector.intake import Raw

Positions = Callable[[Sequence[int]], Awaitable[Mapping[int, int]]]
"""From partitions to the offsets of the next records to read; those that were never read are left out."""
Lost = Callable[[int, int], None]
"""Told when records were removed before they were read: how many offsets, of which partition."""
Read = Callable[[Sequence[Raw]], Awaitable[Any]]
"""From the records of a bundle to what is handed over in their place."""

BUNDLE_BYTES: Final = 1_048_576  # of records in one bundle
URL: Final = "actionbus://"  # never opened: the driver below has its own connection


class Transport(driver.Transport):
    """Everything a Faust app needs to read one group's share of a topic."""

    def __init__(
        self,
        app: Any,
        connection: Connection,
        group: str,
        *,
        bundle: int,
        limits: Limits,
        session_timeout_ms: int,
        instance_id: str | None,
        positions: Positions,
        lost: Lost,
        read: Read,
    ) -> None:
        super().__init__([URL], app)
        self.positions = positions
        self.lost = lost
        self.read = read
        self.bundle = bundle
        self._made = (connection, group, limits, session_timeout_ms, instance_id)

    def consumer(self) -> Any:
        """A consumer that reads committed records; made in the thread that runs it."""
        connection, group, limits, session_timeout_ms, instance_id = self._made
        return clients.group_consumer(
            connection,
            group,
            isolation="read_committed",
            fetch_bytes=limits.fetch_bytes,
            instance_id=instance_id,
            session_timeout_ms=session_timeout_ms,
        )


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that reads."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        return transport.consumer()

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Go where the tables end, partition by partition; what was never read begins at its first record."""
        transport: Any = self.transport
        assigned = sorted(self.assignment())
        known = await transport.positions([place.partition for place in assigned])
        first = await self.earliest_offsets(*assigned) if assigned else {}
        end = await self.highwaters(*assigned) if assigned else {}
        found: dict[TP, int] = {}
        for place in assigned:
            position = known.get(place.partition, 0)
            if position > end[place]:
                raise PositionLost(
                    f"the tables follow {place.topic}[{place.partition}] to {position}, and it ends at {end[place]}: "
                    "the topic was made anew, or the database belongs to another installation"
                )
            if 0 < position < first[place]:
                transport.lost(place.partition, first[place] - position)
            found[place] = max(position, first[place])
        for place, position in found.items():
            await self.call_thread(self._go, place, position)
        return found

    async def _go(self, place: TP, position: int) -> None:
        self._ensure_consumer().seek(place, position)


@dataclass(frozen=True, slots=True)
class Bundle:
    """Records of one partition, in order, in the place of one record: the last, which stands for all of them."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: tuple[Raw, ...]
    timestamp_type: int = 0
    headers: tuple[()] = ()
    key: None = None
    checksum: None = None
    serialized_key_size: int = 0
    serialized_value_size: int = 0


def bundles(records: Iterable[Any], most: int) -> Iterator[Bundle]:
    """Records of one partition as bundles of so many at most, and of so many bytes."""
    held: list[Raw] = []
    size, topic = 0, ""
    for record in records:
        topic = record.topic
        held.append(Raw(record.partition, record.offset, record.timestamp, record.value))
        size += len(record.value or b"")
        if len(held) >= most or size >= BUNDLE_BYTES:
            yield _bundle(topic, held)
            held, size = [], 0
    if held:
        yield _bundle(topic, held)


def _bundle(topic: str, held: Sequence[Raw]) -> Bundle:
    last = held[-1]
    return Bundle(topic=topic, partition=last.partition, offset=last.offset, timestamp=last.at, value=tuple(held))


class Consumer(driver.Consumer):
    """Hands over what the thread reads, bundled."""

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:  # noqa: ASYNC109 - Faust's own
        transport: Any = self.transport
        found = await super()._getmany(active_partitions, timeout)
        return {place: bundles(records, transport.bundle) for place, records in found.items()}

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:  # noqa: ASYNC109 - Faust's own
        """Bundles of every partition in turn, each decoded before it is handed over."""
        transport: Any = self.transport
        async for place, message in super().getmany(timeout):
            generation = self.app.consumer_generation_id
            message.value = await transport.read(message.value)
            if not self.flow_active or self.app.consumer_generation_id != generation:
                return  # partitions were given away meanwhile; whoever has them begins where the tables end
            yield place, message

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Between offsets lie other records of a bundle, and the ends of transactions: there is nothing to remember."""

    def _new_offset(self, tp: TP) -> int | None:
        """Up to where the group is: bundles of a partition are written in their order."""
        done = self._acked[tp]
        if not done:
            return None
        last = max(done)
        done.clear()
        self._acked_index[tp].clear()
        return last + 1

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)


Transport.Consumer = Consumer
