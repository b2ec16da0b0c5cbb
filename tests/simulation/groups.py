"""The workers' consumer groups: who holds the one partition of an action's commands, and how far it has committed.

The shipped `Holdings` talks to a ``Member`` as it does to a ``GroupReader``. A member that is gone for longer than its
session loses the partition, hears of it when it comes back, and until then reads on: fetching is not fenced, committing is.
"""

import asyncio
import importlib
from contextlib import contextmanager
from unittest import mock

from actionbus.contracts.errors import Fenced
from actionbus.kafka.admin import Committed
from actionbus.kafka.group import Polled
from actionbus.kafka.rebalances import Assigned, Lost, Revoked

FIRST = frozenset({0})
NONE: frozenset[int] = frozenset()


class Groups:
    """All groups, one for each command topic."""

    def __init__(self, broker) -> None:
        self.broker = broker
        self.members: dict[str, list[Member]] = {}
        self.holders: dict[str, Member] = {}
        self.committed: dict[str, Committed] = {}

    def join(self, member: "Member") -> None:
        """One more; it gets the partition if nobody has it."""
        self.members.setdefault(member.topic, []).append(member)
        if member.topic not in self.holders:
            self.give(member)

    def give(self, member: "Member") -> None:
        """A member holds the partition from now on."""
        self.holders[member.topic] = member
        member.hear(Assigned(partitions=FIRST))

    def move(self, topic: str, process) -> None:
        """Give the partition to a process, with the consent of whoever holds it now."""
        holder = self.holders.get(topic)
        heir = next((each for each in self.members.get(topic, ()) if each.process is process), None)
        if heir is None or holder is heir:
            return
        if holder is not None and holder.process.running:
            holder.process.call(asyncio.get_running_loop().create_task, holder.let_go(heir))
        else:
            self.give(heir)

    def expire(self, process) -> None:
        """The session of a process is over: others get what it held."""
        for topic, members in self.members.items():
            for member in [each for each in members if each.process is process]:
                members.remove(member)
                member.thrown_out = True
                if self.holders.get(topic) is member:
                    del self.holders[topic]
                    member.hear(Lost(partitions=FIRST))
                    heirs = [each for each in members if each.process.running] or members
                    if heirs:
                        self.give(heirs[0])

    def return_of(self, members) -> None:
        """The process of these members was thrown out, and is back."""
        for member in members:
            if member.thrown_out:
                member.thrown_out = False
                self.join(member)


class Member:
    """One lane's place in its group; in the place of ``GroupReader``. A connection is ``(world, process)`` here."""

    def __init__(self, connection, group, topic, *, before_revoke=None, **_) -> None:
        self.world, self.process = connection
        self.groups: Groups = self.world.groups
        self.group, self.topic = group, topic
        self.thrown_out = False
        self._before_revoke = before_revoke
        self._changes = []
        self._next: int | None = None
        self._paused = False
        self._stirred = asyncio.Event()

    async def start(self) -> None:
        """Join."""
        self.groups.join(self)
        self.process.members.append(self)
        self.world.broker.watch((self.topic, 0), self._stirred)

    async def close(self) -> None:
        """Leave."""

    def hear(self, change) -> None:
        """The group has said something; the next poll tells."""
        self._changes.append(change)
        self._stirred.set()

    async def let_go(self, heir: "Member") -> None:
        """Commit what is done, then make room."""
        await self._before_revoke(FIRST)
        if self.groups.holders.get(self.topic) is self:
            self.hear(Revoked(partitions=FIRST))
            self.groups.give(heir)

    async def poll(self, *, timeout_ms, max_records) -> Polled:
        """What changed, and records; waits until there is something, for a wait that ends for nothing says nothing."""
        while True:
            self._stirred.clear()
            changes, self._changes = tuple(self._changes), []
            started = {}
            for change in changes:
                if isinstance(change, Assigned):
                    started = {0: self.groups.committed.get(self.topic, Committed(offset=0, metadata=""))}
                    self._next = started[0].offset
                    self._paused = False  # a pause ends with the assignment that it was made in
                else:
                    started, self._next = {}, None
            records = ()
            if self._next is not None and not self._paused:
                records = tuple(self.world.broker.read((self.topic, 0), self._next, committed=False)[:max_records])
                if records:
                    self._next = records[-1].offset + 1
            if changes or records or timeout_ms == 0:
                return Polled(changes=changes, started=started, records=records)
            await self._stirred.wait()

    async def commit(self, values) -> None:
        """Store an offset, unless the partition is somebody else's by now."""
        await self.world.leaves(self.process, "commit", self.topic)
        if self.groups.holders.get(self.topic) is not self:
            raise Fenced("the generation is over")
        (stored,) = values.values()
        self.groups.committed[self.topic] = stored
        self.world.broker.groups[self.group, self.topic] = stored.offset
        await self.world.left(self.process)
        await asyncio.sleep(0)

    def pause(self, _) -> None:
        """Read nothing for a while."""
        self._paused = True

    def resume(self, _) -> None:
        """Read on."""
        self._paused = False
        self._stirred.set()


class Ends:
    """In the place of the reader that measures the lag."""

    def __init__(self, connection, **_) -> None:
        self.world, _ = connection

    async def start(self) -> None:
        """There is nothing to connect to."""

    async def close(self) -> None:
        """There was nothing to connect to."""

    async def end(self, topic, partition) -> int:
        """The offset after the last record."""
        return len(self.world.broker.read((topic, partition), 0, committed=False))


@contextmanager
def installed():
    """The shipped `Holdings` are members of these groups inside."""
    holdings = importlib.import_module("actionbus.worker.holdings")
    with mock.patch.multiple(holdings, GroupReader=Member, PartitionReader=Ends):
        yield
