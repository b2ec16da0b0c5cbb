"""T05: two who claim one shard at the same time, because no group tells them apart: only the fences do."""

import asyncio
import time
from random import Random

from actionbus.kafka.connection import Connection
from actionbus.testing.network import Fate, Kind
from faults import lone_shard
from faults.fault import Fault, Outcome
from faults.ground import Ground
from faults.lone_shard import QUIET_SECONDS, LoneShard
from protocol.kafka_world import KafkaOwner

# Who stands still, and before which of its requests. Between a commit and its commands is "publish".
HOLDS: tuple[tuple[bool, Kind, str], ...] = (
    *((True, kind, about) for kind, about in (("fence", "b"), ("read", "state"), ("add", "a"))),
    *((False, kind, about) for kind, about in (("publish", "action"), ("add", "a"), ("add", "b"))),
)


async def claimed(ground: Ground, count: int, chance: Random, holds=HOLDS, patience: float = QUIET_SECONDS) -> Outcome:
    """A second owner of one shard comes, one of the two is held at a request, and both go on with their claim."""
    with ground.room("claimed") as room:
        async with lone_shard.opened(ground.cluster(1), room.name, chance) as shard:
            for number in range(count):
                await asyncio.sleep(chance.uniform(0, 0.2))
                await _claim(shard, number, chance.choice(holds))
            return await shard.judged(patience)


async def _claim(shard: LoneShard, number: int, hold: tuple[bool, Kind, str]) -> None:
    """Two owners, one of whom is late; in the end one of them is gone, and the other one serves."""
    newcomer_waits, kind, about = hold
    old = shard.owner
    new = shard.world.owner(f"claimant-{number}", connection=Connection(bootstrap_servers=shard.wire.address))
    late, other = (new, old) if newcomer_waits else (old, new)
    trap = late.trap(kind, about, Fate.HELD)
    began = time.monotonic()
    if newcomer_waits:
        new.start()
        await _caught(shard, trap.caught)
        await _serves(shard, old)  # where it was fenced, it takes the shard again after a while
    else:
        await _caught(shard, trap.caught)
        new.start()
        await _serves(shard, new)
    trap.release()
    await shard.recovered()
    gone, shard.owner = (late, other) if shard.chance.random() < 0.5 else (other, late)
    await gone.crash()
    await shard.recovered(began)


async def _caught(shard: LoneShard, caught: asyncio.Event) -> None:
    await shard.until(caught.is_set)


async def _serves(shard: LoneShard, owner: KafkaOwner) -> None:
    """Return once an owner has written one more position."""
    have = len(shard.world.positions())
    await shard.until(lambda: any(each.owner == owner.name for each in shard.world.positions()[have:]))


FAULTS = (
    Fault(
        id="T05/claim",
        name="two claim one shard",
        what="a second owner takes a shard over whose first one lives and goes on; one of the two is held between its "
        "fences, before it reads, before its transaction, or between a commit and its commands, until the other one "
        "serves; then both go on, and one of them dies",
        play=claimed,
        short=3,
        each=20,
        published=40,
        full=200,
        needs=("java",),
    ),
)
