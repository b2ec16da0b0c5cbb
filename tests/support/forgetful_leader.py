"""A member of a consumer group that leads it badly: sometimes it gives the others no assignment, not even an empty one.

A broker that loses its place in a rebalance does the same to a member.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from aiokafka.protocol.group import JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest

from actionbus.kafka.cluster import Cluster
from actionbus.kafka.connection import Connection

LANE = "leader"
SESSION_MS = 60_000
REBALANCE_MS = 10_000


class ForgetfulLeader:
    """One such member; whoever comes after it is forgotten by it."""

    def __init__(self, brokers: Cluster, group: str) -> None:
        self._brokers = brokers
        self._group = group
        self._id = ""

    async def lead(self, *, forget: bool) -> int:
        """Take part in a rebalance: give the others nothing, or forget them; how many members there were."""
        metadata = ConsumerProtocolMemberMetadata(0, ["nothing"], b"").encode()
        protocols = [("range", metadata)]
        while True:
            joined = await self._ask(
                JoinGroupRequest(self._group, SESSION_MS, REBALANCE_MS, self._id, None, "consumer", protocols)
            )
            self._id = joined.member_id
            if joined.error_code == 0:
                break
        assert joined.leader_id == self._id
        nothing = ConsumerProtocolMemberAssignment(0, [], b"").encode()
        given = [(member, nothing) for member, *_ in joined.members if member == self._id or not forget]
        await self._ask(SyncGroupRequest(self._group, joined.generation_id, self._id, None, given))
        return len(joined.members)

    async def meet(self) -> None:
        """Return once somebody else was in a rebalance, and was given nothing, as it has to be."""
        while await self.lead(forget=False) == 1:
            pass

    async def forget(self) -> None:
        """Return once somebody else was in a rebalance, and was forgotten."""
        while await self.lead(forget=True) == 1:
            pass

    async def leave(self) -> None:
        """Let somebody else lead."""
        await self._ask(LeaveGroupRequest(self._group, self._id))

    async def _ask(self, request):
        node = await self._brokers.coordinator("group", self._group)
        return await self._brokers.send(node, request, lane=LANE)


@asynccontextmanager
async def forgetful_leader(connection: Connection, group: str) -> AsyncIterator[ForgetfulLeader]:
    """Such a leader in a group that has no other member yet."""
    async with Cluster(connection) as brokers:
        leader = ForgetfulLeader(brokers, group)
        await leader.lead(forget=False)
        yield leader
