"""T27: the database of the actions restarts, and its word about a commit is lost."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random

from faults.fault import Fault, Outcome
from faults.ground import Ground
from faults.house import House, Setting, judged, opened
from support import postgres
from worker.postgres_proxy import OnCommit, PostgresProxy
from worker.station import until

DOWN_SECONDS = 3.0  # at most; workers wait for a database for longer
LATE_SECONDS = 1.0  # at most: how long a commit lies on the way after its client is cut off
CUTS = (OnCommit.LOSE_REPLY, OnCommit.LOSE_REQUEST, OnCommit.LATE)


async def _restarts(ground: Ground, count: int, chance: Random) -> Outcome:
    with ground.room("restarts") as room, postgres.server() as server:
        own = replace(ground, postgres=lambda: server.url)
        async with opened(own, room, ground.cluster(1), chance, Setting()) as house:
            for _ in range(count):
                await house.pause(2)
                await asyncio.to_thread(chance.choice(_ends(server)))
                house.struck()
                await house.pause(DOWN_SECONDS)
                await asyncio.to_thread(server.start)
                await house.recovered()
            return await judged(house)


def _ends(server: postgres.Server) -> tuple[Callable[[], None], ...]:
    """Every way in which a server goes away: in order, at once, and by kill -9."""
    return server.stop, lambda: server.stop("immediate"), server.kill


async def _cuts(ground: Ground, count: int, chance: Random) -> Outcome:
    with ground.room("cuts") as room:
        proxies: list[PostgresProxy] = []

        @asynccontextmanager
        async def through(url: str) -> AsyncIterator[str]:
            async with PostgresProxy(url) as proxy:
                proxies.append(proxy)
                yield proxy.url

        async with opened(ground, room, ground.cluster(1), chance, Setting(), through=through) as house:
            for _ in range(count):
                await house.pause(0.3)
                await _cut(house, proxies[0], chance.choice(CUTS))
                await house.recovered()
            return await judged(house)


async def _cut(house: House, proxy: PostgresProxy, how: OnCommit) -> None:
    """The next commit of any worker: of an effect, of a journal, or of what is swept."""
    proxy.gate.clear()
    proxy.on_commit = how
    await until(lambda: proxy.on_commit is OnCommit.HAND_ON, "a commit")
    house.struck()
    if how is OnCommit.LATE:
        await house.pause(LATE_SECONDS)
    proxy.gate.set()


FAULTS = (
    Fault(
        id="T27/restart",
        name="database restarted",
        what="PostgreSQL stopped in order, stopped at once or ended by kill -9 while workers write to it, away for up to "
        "3 s; the next restart when every shard works again",
        play=_restarts,
        short=2,
        each=25,
        published=100,
        full=500,
    ),
    Fault(
        id="T27/cut",
        name="commit cut off",
        what="the connection cut at a commit: before the database has it, after it and before the reply, or the commit "
        "arrives after its client has gone; the next cut when every shard works again",
        play=_cuts,
        short=3,
        each=100,
        published=400,
        full=500,
    ),
)
