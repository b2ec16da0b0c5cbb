"""From what the group says to the shards that run here.

A rebalance first takes everything from everybody, and mostly gives it back. A shard therefore goes on through it: what
keeps two owners apart is the fence, not the group. It is let go once the group has given it to somebody else, and it is
dropped, without another write, once the group has thrown this process out.
"""

import asyncio
from collections.abc import Callable

import structlog

from actionbus.kafka.rebalances import Assigned, Failed, Lost, Rebalance, Revoked
from actionbus.orchestrator.charter import Charter
from actionbus.orchestrator.shard import Shard, Stage
from actionbus.process import metrics

_log = structlog.get_logger(__name__)


class Ownership:
    """The shards of this process, each run by a task."""

    def __init__(self, charter: Callable[[int], Charter]) -> None:
        self._charter = charter
        self._shards: dict[int, Shard] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._assigned = False

    @property
    def shards(self) -> list[Shard]:
        """Those that this process owns now."""
        return list(self._shards.values())

    def not_ready(self) -> list[str]:
        """Why this process does not yet serve what it owns."""
        if not self._assigned:
            return ["the group has not assigned any shards yet"]
        return [
            f"shard {shard.number}: {shard.stage.value}" + (f" ({shard.reason})" if shard.reason else "")
            for shard in self.shards
            if shard.stage is not Stage.SERVING
        ]

    def apply(self, change: Rebalance) -> None:
        """Do what the group says; raises the error when it refuses this member for good."""
        match change:
            case Assigned(partitions=partitions):
                self._assigned = True
                metrics.REBALANCES.inc()
                _log.info("shards are assigned", shards=sorted(partitions))
                for number in self._shards.keys() - partitions:
                    self._release(number)
                for number in sorted(partitions - self._shards.keys()):
                    self._start(number)
            case Revoked():
                pass
            case Lost(partitions=partitions):
                _log.warning("the group has thrown this process out", shards=sorted(partitions))
                for number in partitions & self._shards.keys():
                    self._drop(number)
            case Failed(error=error):
                raise error
        self.count()

    def count(self) -> None:
        """Tell how many shards are owned; one that is stopped is nobody's work, and an alert waits for its absence."""
        metrics.SHARDS_OWNED.set(sum(shard.stage is not Stage.HALTED for shard in self.shards))

    async def release_all(self) -> None:
        """Let every shard finish what it began, and write its last position."""
        for number in list(self._shards):
            self._release(number)
        metrics.SHARDS_OWNED.set(0)
        if self._leaving:
            await asyncio.wait(self._leaving)

    async def drop_all(self) -> None:
        """Drop every shard at once."""
        for number in list(self._shards):
            self._drop(number)
        metrics.SHARDS_OWNED.set(0)
        for task in self._leaving:
            task.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)

    def _start(self, number: int) -> None:
        shard = self._shards[number] = Shard(self._charter(number))
        before = [task for task in self._leaving if task.get_name() == f"shard-{number}"]
        self._tasks[number] = asyncio.create_task(_run_after(before, shard), name=f"shard-{number}")

    def _release(self, number: int) -> None:
        self._shards[number].release()
        self._leave(number)

    def _drop(self, number: int) -> None:
        self._tasks[number].cancel()
        self._leave(number)

    def _leave(self, number: int) -> None:
        del self._shards[number]
        task = self._tasks.pop(number)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)


async def _run_after(before: list[asyncio.Task[None]], shard: Shard) -> None:
    """Run a shard once its former life in this process is over: both would fence each other."""
    if before:
        await asyncio.wait(before)
    await shard.run()
