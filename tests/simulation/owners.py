"""The orchestrators' consumer group: who owns which shard. What it says may come late, and two may believe the same."""

from actionbus.kafka.rebalances import Assigned, Lost
from simulation.loop import Process


class Owners:
    """Gives every shard to one of the orchestrators."""

    def __init__(self, world) -> None:
        self._world = world
        names = world.plan.orchestrators
        self.of = {shard: names[shard % len(names)] for shard in range(world.plan.shards)}

    def shards(self, name: str) -> frozenset[int]:
        """What an orchestrator owns now."""
        return frozenset(shard for shard, owner in self.of.items() if owner == name)

    def tell(self, process: Process) -> None:
        """A process hears what is its own."""
        process.hear(Assigned(partitions=self.shards(process.name)))

    def return_of(self, process: Process) -> None:
        """A process stood still, and hears what it has lost meanwhile."""
        lost = self.of.keys() - self.shards(process.name)
        if lost:
            process.hear(Lost(partitions=frozenset(lost)))
            self.tell(process)

    def expire(self, process: Process) -> None:
        """The group misses a process: others get what it owned."""
        living = self._world.living
        heirs = [name for name in self._world.plan.orchestrators if name in living and living[name].running]
        heirs = [name for name in heirs if name != process.name] or heirs
        if heirs:
            for shard in sorted(self.shards(process.name)):
                self._give(shard, heirs[shard % len(heirs)])
            for name in heirs:
                self.tell(living[name])

    def move(self, shard: int, heir: Process, told_new_ms: int, told_old_ms: int) -> None:
        """A shard goes to another process; each hears of it in its time."""
        if self.of[shard] == heir.name:
            return
        before = self._world.living.get(self.of[shard])
        self._give(shard, heir.name)
        self._world.loop.later(told_new_ms, self.tell, heir)
        if before is not None:
            self._world.loop.later(told_old_ms, self.tell, before)

    def _give(self, shard: int, name: str) -> None:
        self._world.tell("group", f"gives shard {shard} to", name)
        self.of[shard] = name
