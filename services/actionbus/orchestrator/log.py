"""The log as a shard needs it: fence, read, follow, one transaction at a time, plain writes. No rule lives behind it.

`kafka_log` puts it on Kafka; `testing.log` is a broker of its own, in memory, that behaves as badly as Kafka may.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from typing import Literal, Protocol

from actionbus.contracts.records import InRecord, OutRecord

Slot = Literal["a", "b"]
Place = tuple[str, int]  # topic and partition


class Writer(Protocol):
    """The holder of one of a shard's two transactional ids. Calls follow ``clear? (begin append* commit)* close``."""

    async def clear(self, topics: Collection[str]) -> None:
        """End what earlier holders left open, as it was decided, wherever the log has failed to do so.

        ``topics``: besides those of the installation, which are cleared where they answer. Raises Unavailable where it
        cannot be done.
        """
        ...

    def begin(self) -> None:
        """Open a transaction."""
        ...

    def append(self, topic: str, partition: int, records: Sequence[OutRecord]) -> None:
        """Add records that share one record batch; raises BatchTooLarge when they do not fit one."""
        ...

    def append_split(self, topic: str, partition: int, records: Sequence[OutRecord]) -> None:
        """Add records in as many batches as they need; raises BatchTooLarge when one alone fits none."""
        ...

    def abort(self) -> None:
        """Forget what was appended since ``begin``; nothing of it has left yet."""
        ...

    async def commit(self) -> Mapping[Place, int]:
        """Write and commit everything appended; the first offset written in each partition.

        Raises Doubt for every other outcome, and then only ``close`` is left. A refusal that would come back for the
        same records is the doubt's ``__cause__``.
        """
        ...

    def watch(self, alarm: Callable[[], None]) -> None:
        """Call this when a transaction that was committed turns out to stay open; `check` tells of it then."""
        ...

    def check(self) -> None:
        """Raise Doubt when it is known that the last transaction stays open: nothing but a `clear` ends it."""
        ...

    async def close(self) -> None:
        """Let go; never raises."""
        ...


class Log(Protocol):
    """What a shard may do to the log."""

    async def fence(self, shard: int, slot: Slot) -> Writer:
        """Take one transactional id over: when this returns, every earlier holder is fenced, see `Writer.clear`."""
        ...

    async def earliest(self, topic: str, partition: int) -> int:
        """The oldest offset that the partition still holds."""
        ...

    async def held_back(self, topic: str, partition: int) -> int | None:
        """Where a transaction begins that is still open, so that nothing behind it can be read; None: there is none."""
        ...

    async def written_at(self, topic: str, partition: int, start: int, end: int) -> int | None:
        """When the first committed record between two offsets was written, epoch milliseconds; None: there is none.

        Raises PositionLost where the log does not reach that far.
        """
        ...

    def read(self, topic: str, partition: int, start: int) -> AsyncGenerator[list[InRecord]]:
        """Committed records from ``start`` to the end as it is now; raises PositionLost below the log's start."""
        ...

    def follow(self, positions: Mapping[Place, int]) -> AsyncGenerator[list[InRecord]]:
        """Committed records from these offsets on, for ever; each list is of one partition, in order."""
        ...

    def publish(self, topic: str, partition: int, records: Sequence[OutRecord]) -> asyncio.Future[int]:
        """Write outside any transaction, in order, in as many batches as needed; done when all are acknowledged."""
        ...

    async def passed(self, group: str, topic: str, partition: int, before_ms: int) -> bool:
        """Whether a consumer group has passed every record of a partition that was written before that time."""
        ...

    async def partitions(self, topic: str) -> int | None:
        """How many partitions a topic has; None when there is no such topic, or none that we may see."""
        ...
