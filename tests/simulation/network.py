"""The ways between processes and the broker, where requests and replies take time, are lost, come late, or come twice.

Every request is an effect of the process that sends it, and a moment at which it may die or freeze. What has left arrives,
whatever becomes of its sender.
"""

from collections import defaultdict

from actionbus.testing.network import Network, Silence

TIMEOUT_MS = 300  # of a request that nobody answers


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
        way = world.plan.latency_ms * (0.2 + world.plan.lot(self._name, kind, number))
        reply = loop.create_future()

        def answer(value, error) -> None:
            if reply.done():
                return
            if error is None:
                reply.set_result(value)
            else:
                reply.set_exception(error)
                reply.exception()

        def arrive(heard: bool) -> None:
            value = error = None
            try:
                value = request()
            except Exception as refused:  # noqa: BLE001 - whatever the broker says goes back to who asked
                error = refused
            if fate == "doubled":
                request()
            if heard:
                loop.later(way, answer, value, error)

        # Requests over one connection arrive in their order.
        arrival = max(loop.time() * 1000 + way + (ms if fate == "slow" else 0), self._free_at[about])
        if fate == "late":
            arrival = loop.time() * 1000 + TIMEOUT_MS + ms
        else:
            self._free_at[about] = arrival
        if fate != "lost":
            loop.later(arrival - loop.time() * 1000, arrive, fate not in ("late", "unanswered"))
        if fate in ("lost", "late", "unanswered"):
            loop.later(TIMEOUT_MS, answer, None, Silence())
        await world.left(self._process)
        return await reply
