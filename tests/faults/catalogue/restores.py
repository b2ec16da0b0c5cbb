"""T15, T32: Kafka, or the database, is put back to an earlier instant than the other."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from random import Random

from faults import restored
from faults.bank import UNDOES, Taken, life_of
from faults.catalogue import power
from faults.fault import Fault, Outcome
from faults.ground import Ground
from faults.house import House, Setting, judged, opened
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
                outcome = await judged(house, past)
                wrong = await _left(house, past)
                return replace(outcome, faults=outcome.faults | ({"lost": wrong} if wrong else {}))

    return play


async def _left(house: House, past: Past) -> list[str]:
    """Whether exactly those steps are in doubt that runs did which Kafka has forgotten."""
    rows = await _doubtful(house, past.returns[0].moment)
    said = {row["step_key"] for row in rows}
    keys = await house.bank.rows("SELECT key FROM actionbus_inbox WHERE status = 'DONE'")
    gone = {key for (key,) in keys if life_of(key) in past.missing}
    silent = [f"Kafka does not know {key}, and nobody says so" for key in sorted(gone - said)]
    return silent + [f"{key} is said to be in doubt, and is not" for key in sorted(said - gone)]


async def _older_database(ground: Ground, count: int, chance: Random) -> Outcome:
    """The database is put back and Kafka is not: each effect that is gone has to be in the list of what is in doubt."""
    setting = Setting()
    with ground.room("older-database") as room:
        async with opened(ground, room, ground.cluster(1), chance, setting) as house:
            assert count == 1, "a second backup would hold what the first one took"
            await house.pause(2.0)
            backup = await restored.backup(house.bank)
            await house.load.ended(chance.randint(LEAST_AFTER, MOST_AFTER))
            for worker in house.workers:
                worker.kill()
            await backup.put_back()
            house.struck()
            for worker in house.workers:
                worker.start()
            await house.recovered()
            await house.load.finish()
            taken = await backup.taken()
            outcome = await judged(house, taken=taken)
            wrong = _listed(await _doubtful(house, backup.moment), taken)
            note = f"{len(taken.moves)} effects were gone with the database, and every one was in the list of doubts"
            return replace(outcome, note=note, faults=outcome.faults | ({"lost": wrong} if wrong else {}))


async def _doubtful(house: House, moment: int) -> list[dict[str, str]]:
    """What the product says is in doubt."""
    since = datetime.fromtimestamp(moment / 1000, UTC).isoformat()
    done = await asyncio.to_thread(house.installation.command, "steps", "doubtful", since)
    return json.loads(done.stdout)


def _listed(rows: list[dict[str, str]], taken: Taken) -> list[str]:
    """Whether exactly those effects are in doubt that are gone."""
    said = {(row["step_key"], "undone" in row["found"]) for row in rows}
    gone = {(key, kind in UNDOES) for key, kind, *_ in taken.moves}
    silent = [f"{key} (undone: {undo}) is gone, and nobody says so" for key, undo in sorted(gone - said)]
    return silent + [
        f"{key} (undone: {undo}) is said to be in doubt, and is there" for key, undo in sorted(said - gone)
    ]


FAULTS = (
    Fault(
        id="T15/copied",
        name="booted from a copy",
        what="the data of the only broker is copied at one instant, up to 30 transfers later everything is killed, and "
        "the broker boots from the copy with the database as it is; counted is everything but the effects of transfers "
        "that began after the copy, and those have to be in the list of steps in doubt",
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
    Fault(
        id="T32/database",
        name="an older database",
        what="the database is put back to what it was up to 30 transfers ago, and Kafka stays as it is; what is gone "
        "has to be in the list of steps in doubt, and everything else is counted",
        play=_older_database,
        short=1,
        each=1,
        published=10,
        full=20,
    ),
)
