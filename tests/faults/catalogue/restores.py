"""T15, T32: Kafka, or the database, is put back to an earlier instant than the other."""

import asyncio
from random import Random

from faults import restored
from faults.catalogue import power
from faults.fault import Fault, Outcome
from faults.ground import Ground
from faults.house import Setting, judged, opened
from faults.restored import Past, Return

LEAST_AFTER, MOST_AFTER = 8, 30  # transfers that end between a copy and the end of what it is a copy of


def copied(setting: Setting):
    """A round: Kafka is copied at one instant, goes on, and everything boots from the copy; the bank is not put back."""

    async def play(ground: Ground, count: int, chance: Random) -> Outcome:
        with ground.room("copied") as room, ground.own_cluster(room, setting.brokers, restored.SMALL) as cluster:
            async with opened(ground, room, cluster, chance, setting) as house:
                past, made = Past(), house.installation
                for _ in range(count):
                    await house.pause(2.0)
                    before = await restored.lives(house.bank)
                    moment = await asyncio.to_thread(restored.copy, cluster, room / "copy")
                    await house.load.ended(chance.randint(LEAST_AFTER, MOST_AFTER))
                    power.end_everything(house)
                    past.returns.append(Return(moment=moment, before=before, gone=await restored.lives(house.bank)))
                    await asyncio.to_thread(restored.put_back, cluster, room / "copy")
                    house.struck()
                    await power.booted(house)
                    await house.recovered()
                    await past.look(made.connection, made.prefix, made.shards)
                return await judged(house, past)

    return play


FAULTS = (
    Fault(
        id="T15/copied",
        name="booted from a copy",
        what="the data of the only broker is copied at one instant, up to 30 transfers later everything is killed, and "
        "the broker boots from the copy with the database as it is; counted is everything but the effects of transfers "
        "that began after the copy",
        play=copied(Setting()),
        short=1,
        each=5,
        published=20,
        full=20,
    ),
    Fault(
        id="T15/copied-three",
        name="three booted from copies",
        what="the data of three brokers is copied at one instant, up to 30 transfers later everything is killed, and "
        "they boot from the copies with the database as it is; counted is the same",
        play=copied(Setting(brokers=3)),
        short=0,  # the same as with one broker, and takes three times as long
        each=5,
        published=10,
        full=20,
    ),
)
