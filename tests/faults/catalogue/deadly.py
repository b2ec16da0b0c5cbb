"""T22: commands that end every process that begins them, among others that harm nobody."""

from collections import Counter
from itertools import count as numbers
from pathlib import Path
from random import Random

from actionbus.contracts.results import ActionResult, ResultKind
from faults.fault import Fault, Outcome
from faults.ground import Ground
from integration.installation import connection
from worker.deadly_app import visit
from worker.processes import supervised
from worker.station import Station

CRASHES = 3  # workers that a command may take along; it is a setting, and every one costs the start of a process
INNOCENT = 6  # to each deadly one
LONGEST_SECONDS = 0.5  # that an innocent one takes, so that some are killed along


async def _deadly(ground: Ground, count: int, chance: Random) -> Outcome:
    with ground.room("deadly") as room:
        at = connection(ground.cluster(1).bootstrap)
        async with Station(at, f"{room.name}-{chance.getrandbits(32):08x}", visit, partitions=1) as station:
            places = [f"pit-{n}" for n in range(count)] + [f"park-{n}" for n in range(count * INNOCENT)]
            chance.shuffle(places)
            run_of = dict(zip(places, numbers(), strict=False))
            values = {place: {"place": place, "seconds": chance.uniform(0, LONGEST_SECONDS)} for place in places}
            await station.send(*(station.command(visit, run_of[each], value=values[each]) for each in places))
            limit = {"ACTIONBUS_LIMITS_COMMAND_CRASHES": str(CRASHES)}
            async with supervised(station, room, "worker.deadly_app", **limit):
                answers = await station.answers(len(places))
                letters = await station.dead_letters(visit, count)
                await station.commits(visit, p0=len(places))
        began = Counter((room / Path("began.txt")).read_text().split())
        faults = _judge({f"r-{number}": place for place, number in run_of.items()}, answers, began)
        if len(letters) != count:
            faults["disordered"] = [f"{len(letters)} dead letters of {count} deadly commands"]
    return Outcome(injected=count, workflows=len(places), steps=len(places), effects=began.total(), faults=faults)


def _judge(place_of: dict[str, str], answers: list[ActionResult], began: Counter[str]) -> dict[str, list[str]]:
    """Who is guilty has failed for good after so many crashes, and everybody else has succeeded."""
    lost = [
        f"{place_of[each.run_id]}: {each.kind}, {each.error}"
        for each in answers
        if place_of[each.run_id].startswith("pit") != (each.error is not None and each.error.type == "Deadly")
        or (each.error is None and each.kind is not ResultKind.SUCCEEDED)
    ]
    doubled = [
        f"{place} was begun {times} times, {CRASHES} are allowed"
        for place, times in began.items()
        if place.startswith("pit") and times > CRASHES
    ]
    return {kind: each for kind, each in (("lost", lost), ("doubled", doubled)) if each}


FAULTS = (
    Fault(
        id="T22/deadly",
        name="command that kills",
        what=f"commands that end the process of every worker that begins them, each among {INNOCENT} others that are "
        f"killed along; after {CRASHES} such crashes it has to be set aside, and the others carried out. Lost: a command "
        "with another end than its own; doubled: a deadly one that was begun once more",
        play=_deadly,
        short=1,
        each=5,
        published=20,
        full=100,
        needs=("java",),
    ),
)
