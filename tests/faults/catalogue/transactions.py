"""T07, T09: what becomes of one transaction whose end arrives late, twice, or after its time is over."""

import asyncio
import time
from random import Random

from actionbus.kafka.connection import Connection
from actionbus.kafka.reader import PartitionReader
from faults import lone_shard
from faults.fault import Fault, Outcome
from faults.ground import Ground
from faults.lone_shard import LoneShard
from support import deadlines, proxy
from support.mutation import mutated

MOMENTS = ("begun", "written", "half", "ended")  # of the later transaction that meets the late end
OWN_TIMEOUT_MS = 1_000
# The broker looks every half second for transactions that have been open for too long.
IMPATIENT = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": "500"}


async def torn(ground: Ground, count: int, chance: Random, moments: tuple[str, ...] = MOMENTS) -> Outcome:
    """T07: the end of a transaction comes again, in the middle of a later one of the same transactional id."""
    with ground.room("torn") as room:
        async with lone_shard.opened(ground.cluster(1), room.name, chance) as shard:
            for _ in range(count):
                await asyncio.sleep(chance.uniform(0, 0.2))
                await _tear(shard, moments)
            return await shard.judged()


async def _tear(shard: LoneShard, moments: tuple[str, ...]) -> None:
    """Hold an end until its commit is given up, and let it go once the next transaction of the id has come so far."""
    wire, chance = shard.wire, shard.chance
    mine, state = shard.id_of(chance.choice("ab")), shard.world.topics.state.encode()
    arrives = chance.random() < 0.5  # else the end itself is late; here it was carried out, and a copy of it is late
    late = proxy.Rule(when=lambda frame: mine in frame, pass_request=arrives, keep=arrives, pass_reply=False)
    wire.rules[proxy.END_TXN] = late
    async with asyncio.timeout(lone_shard.QUIET_SECONDS):
        await late.met.wait()
    moment = chance.choice(moments)
    kind, when = {
        "begun": (proxy.ADD_PARTITIONS_TO_TXN, lambda frame: mine in frame),
        "written": (proxy.PRODUCE, lambda frame: mine in frame and state in frame),
        "half": (proxy.PRODUCE, lambda frame: mine in frame and state not in frame),
        "ended": (proxy.END_TXN, lambda frame: mine in frame),
    }[moment]
    wire.rules.clear()
    gate = asyncio.Event()
    next_one = wire.rules[kind] = proxy.Rule(when=when, gate=gate)
    began = time.monotonic()
    deadlines.meet(shard.commits[-1])
    async with asyncio.timeout(lone_shard.QUIET_SECONDS):
        await next_one.met.wait()
    await wire.replay(proxy.END_TXN)
    wire.rules.clear()
    gate.set()
    await shard.recovered(began)


async def overdue(ground: Ground, count: int, chance: Random, patience: float = lone_shard.QUIET_SECONDS) -> Outcome:
    """T09: a transaction is ended after the broker has aborted it for being open too long."""
    with ground.room("overdue") as room, ground.own_cluster(room, 1, IMPATIENT) as cluster:
        shorter = ("timeout_ms: int = clients.TRANSACTION_TIMEOUT_MS", f"timeout_ms: int = {OWN_TIMEOUT_MS}")
        with mutated("actionbus.kafka.producer_id", shorter):
            async with lone_shard.opened(cluster, room.name, chance) as shard:
                for _ in range(count):
                    await asyncio.sleep(chance.uniform(0, 0.2))
                    await _outlast(shard)
                return await shard.judged(patience)


async def _outlast(shard: LoneShard) -> None:
    """Hold an end until the broker has ended the transaction itself, and let it go then."""
    gate, mine = asyncio.Event(), shard.id_of(shard.chance.choice("ab"))
    held = shard.wire.rules[proxy.END_TXN] = proxy.Rule(when=lambda frame: mine in frame, gate=gate)
    place = (shard.world.topics.state, 0)
    async with (
        asyncio.timeout(lone_shard.QUIET_SECONDS),
        PartitionReader(Connection(bootstrap_servers=shard.wire.target)) as reader,
    ):
        await held.met.wait()
        while await reader.ends([place], committed=True) != await reader.ends([place], committed=False):  # noqa: ASYNC110 - the broker tells nobody
            await asyncio.sleep(0.05)
    began = time.monotonic()
    shard.wire.rules.clear()
    gate.set()
    await shard.recovered(began)


FAULTS = (
    Fault(
        id="T07",
        name="late end of a transaction",
        what="the end of a transaction, or a copy of it, is held until its commit is given up, and let go while a "
        "later transaction of the same transactional id is begun, written, half written or about to be ended",
        play=torn,
        short=3,
        each=50,
        published=100,
        full=300,
        needs=("java",),
    ),
    Fault(
        id="T09",
        name="transaction open too long",
        what="the end of a transaction is held until the broker has aborted the transaction for its age, and let go then",
        play=overdue,
        short=2,
        each=50,
        published=100,
        full=200,
        needs=("java",),
    ),
)
