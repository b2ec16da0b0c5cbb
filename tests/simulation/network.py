"""The ways between processes and the broker, where requests and replies take time, are lost, come late, or come twice.

Every request is an effect of the process that sends it, and a moment at which it may die or freeze. What has left arrives,
whatever becomes of its sender.
"""

import asyncio
from collections import defaultdict

from actionbus.testing.network import Network, Silence

TIMEOUT_MS = 300  # of a request that nobody answers
UNHEARD = ("lost", "late", "unanswered")


class Lines(Network):
    """The requests of one process, as ``MemoryLog`` sends them."""

    def __init__(self, world, process) -> None:
        super().__init__()
        self._world = world
        self._process = process
        self._name = process.name
        self._free_at: defaultdict[str, float] = defaultdict(float)

    async def send(self, kind, about, request):
        """Send a request and return the reply; raises Silence, or what the broker refuses it with."""
        world, loop = self._world, self._world.loop
        number, trouble = await world.leaves(self._process, kind, about)
        fate, ms = ("", 0) if trouble is None else (trouble.fate, trouble.ms)
        now = loop.time() * 1000
        way = world.plan.latency_ms * (0.2 + world.plan.lot(self._name, kind, number))
        reply = loop.create_future()

        def arrive() -> None:
            answer = _ask(request)
            if fate == "doubled":
                _ask(request)
            if fate not in UNHEARD:
                loop.later(way, _tell, reply, *answer)

        if fate == "late":
            loop.later(TIMEOUT_MS + ms, arrive)
        elif fate != "lost":  # requests over one connection arrive in their order
            arrival = max(now + way + (ms if fate == "slow" else 0), self._free_at[about])
            self._free_at[about] = arrival
            loop.later(arrival - now, arrive)
        if fate in UNHEARD:
            loop.later(TIMEOUT_MS, _tell, reply, None, Silence())
        await world.left(self._process)
        return await reply


def _ask(request):
    """What the broker answers: a value, or what it refuses with."""
    try:
        return request(), None
    except Exception as refused:  # noqa: BLE001 - whatever the broker says goes back to who asked
        return None, refused


def _tell(reply: asyncio.Future, value, error: Exception | None) -> None:
    """The answer arrives, if anybody still waits for it."""
    if reply.done():
        return
    if error is None:
        reply.set_result(value)
    else:
        reply.set_exception(error)
        reply.exception()  # whoever asked may be dead
