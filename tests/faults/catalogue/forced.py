"""T13: an administrator forces the election of leaders that lack acknowledged records."""

import asyncio
import json
import re
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from random import Random

from actionbus.contracts.topics import Topics
from actionbus.kafka.partitioning import partition_for
from actionbus.worker.holdings import ACCEPT_GAP
from faults import house as houses
from faults import restored
from faults.bank import life_of
from faults.fault import Fault, Outcome
from faults.ground import Ground
from faults.house import House, Setting, opened
from faults.unclean import Cut, Election
from integration import books

SETTING = Setting(brokers=3, projectors=1, environment={"ACTIONBUS_TOPICS_REPLICATION_FACTOR": "2"})
KINDS = ("state", "requests", "results", "commands", "events", "all")
LEAST, MOST = 8, 30  # transfers that end while one broker acknowledges alone
QUIET_SECONDS = 120.0  # above the time after which a command that nobody answers is sent again
LOOK_SECONDS = 0.5
STOPPED = re.compile(r"shard (\d+): (?=it is stopped )")
HELD_BACK = re.compile(r"shard (\d+): [^()]*\(Unavailable: a transaction that is none of ours is open")
UNKNOWN = "Kafka does not know "
EXCUSED = ("lost", "uncompensated", "disordered")  # nothing excuses an effect that is doubled, or half
EMITTED = re.compile(r"transfer-\d+ has emit x\d+")  # but one that goes to a topic, of which only the run can say so
RUN = re.compile(r"transfer-\d+")


@dataclass
class Said:
    """What the installation itself said about what is gone."""

    stopped: set[int] = field(default_factory=set)
    """Shards that are stopped until an operator decides."""
    held_back: set[int] = field(default_factory=set)
    """Shards that wait for a transaction to end of which only brokers know."""
    workers: list[str] = field(default_factory=list)
    """Workers that ended and said that a person has to decide."""
    events: list[str] = field(default_factory=list)
    """What projectors said of events."""
    keys: frozenset[str] = frozenset()
    """Step keys that are in doubt."""
    runs: frozenset[str] = frozenset()
    """Runs that are, or a step of them."""

    @property
    def shards(self) -> set[int]:
        """Shards that are not served, for a reason that is told."""
        return self.stopped | self.held_back

    def covers(self, kind: str, text: str, shards: int) -> bool:
        """Whether somebody has said that something is wrong there where a text says so."""
        if kind not in EXCUSED and not EMITTED.fullmatch(text):
            return False
        if text.startswith(UNKNOWN):  # whoever is stopped has never heard of it
            return text.removeprefix(UNKNOWN) in self.keys
        run = RUN.search(text)
        if run is None:
            return bool(self.shards)  # a sum over all of them
        return (
            partition_for(run[0].encode(), shards) in self.shards
            or run[0] in self.runs
            or bool(self.events and "event" in text)
        )


def _topics(house: House, kind: str) -> list[str]:
    names = Topics(house.installation.prefix)
    actions = ("withdraw", "deposit", "insure", "settle", "announce", "stamp", "put-back", "take-back")
    found = {
        "state": [names.state],
        "requests": [names.requests],
        "results": [names.results],
        "commands": [names.commands(action) for action in actions],
        "events": [names.events],
    }
    return [name for each in found.values() for name in each] if kind == "all" else found[kind]


async def _forced(ground: Ground, count: int, chance: Random) -> Outcome:
    """Nothing is gone in silence: whoever meets it stops, or it is in the list of what is in doubt."""
    with ground.room("forced") as room:
        cluster = ground.cluster(SETTING.brokers)
        async with opened(ground, room, cluster, chance, SETTING) as house:
            assert count == 1, "a second election would meet shards that are stopped"
            since, kind = time.time(), chance.choice(KINDS)
            await house.pause(2.0)
            try:
                cut = await _cut(house, kind)
            finally:
                for node in cluster.nodes:  # others use them as well
                    if node.process is not None and node.process.poll() is not None:
                        cluster.start_node(node)
            said = await _settled(house)
            rows = await _doubtful(house, since)
            said.keys = frozenset(row["step_key"] for row in rows)
            said.runs = frozenset(row["run_id"] for row in rows)
            return await _accounted(house, kind, cut, said)


async def _cut(house: House, kind: str) -> Cut:
    topics = _topics(house, kind)
    place = (house.chance.choice(topics), house.chance.randrange(house.setting.shards))
    election, ahead, behind = await Election.of(house.cluster, house.installation.connection, topics, place)
    await election.begin(ahead, behind)
    await house.load.ended(house.chance.randint(LEAST, MOST))
    house.struck()
    return await election.force(ahead, behind)


async def _settled(house: House) -> Said:
    """Return once every transfer has ended but those of shards that are stopped, or once nothing moves any more."""
    said, load = Said(), house.load
    for shard in range(house.setting.shards):
        load.begin(lambda number, shard=shard: _shard(house, f"transfer-{number}") == shard)
    load.stop()
    last, moved = -1, time.monotonic()
    while time.monotonic() - moved < QUIET_SECONDS:
        await asyncio.sleep(LOOK_SECONDS)
        await _listen(house, said)
        if len(load.outcomes) != last:
            last, moved = len(load.outcomes), time.monotonic()
        if all(_shard(house, run) in said.stopped for run in load.begun.keys() - load.outcomes.keys()):
            break
    return said


def _shard(house: House, run_id: str) -> int:
    return partition_for(run_id.encode(), house.setting.shards)


async def _listen(house: House, said: Said) -> None:
    """What the processes say; a worker that has ended since commands are gone is told to go on, as it asks for."""
    pages = [(await asyncio.to_thread(each.get, "/ready"))[1] for each in house.orchestrators]
    said.stopped = {int(number) for page in pages for number in STOPPED.findall(page)}
    said.held_back = {int(number) for page in pages for number in HELD_BACK.findall(page)}
    for worker in house.workers:
        if worker.process is not None and worker.process.poll() is not None:
            said.workers.append(worker.output[-600:])
            assert ACCEPT_GAP in worker.output, worker.output
            worker.environment = worker.environment | {ACCEPT_GAP: "true"}
            worker.start()
    for projector in house.projectors:
        if projector.process is not None and projector.process.poll() is not None:
            said.events.append(projector.output[-600:])
            projector.start()
        elif await asyncio.to_thread(projector.metric, "actionbus_event_version_gaps_total"):
            said.events.append("gaps")


async def _doubtful(house: House, since: float) -> list[dict[str, str]]:
    moment = datetime.fromtimestamp(since - 60, UTC).isoformat()
    done = await asyncio.to_thread(house.installation.command, "steps", "doubtful", moment)
    return json.loads(done.stdout)


async def _accounted(house: House, kind: str, cut: Cut, said: Said) -> Outcome:
    """Every difference between what was told, what the bank holds and what the topics hold, of which nobody says."""
    made, load = house.installation, house.load
    published = await books.read(made.connection, made.prefix, made.shards)
    known = published.versions.keys() | {f"{run_id}:{run.incarnation}" for run_id, run in published.states.items()}
    forgotten = await restored.lives(house.bank) - known
    judgement = await house.bank.judge(load.outcomes, await houses.emitted(made), forgotten)
    judgement.disordered += published.violations(load.outcomes)
    effects = await house.bank.rows("SELECT step_key FROM moves")
    judgement.lost += [f"{UNKNOWN}{key}" for (key,) in effects if life_of(key) in forgotten]
    silent = {
        name: texts
        for name, found in judgement.faults.items()
        if (texts := [text for text in found if not said.covers(name, text, house.setting.shards)])
    }
    unended = [run for run in load.begun.keys() - load.outcomes.keys() if _shard(house, run) not in said.shards]
    outcome = Outcome.of(
        judgement,
        injected=house.injected,
        workflows=len(load.begun),
        unfinished=len(unended),
        note=(
            f"{kind}: {sum(cut.lost.values())} offsets of {len(cut.lost)} partitions were taken back; {len(said.stopped)} "
            f"shards stopped, {len(said.held_back)} were held back, {len(said.workers)} workers refused, "
            f"{len(said.events)} words of projectors, {len(said.runs)} runs in doubt; "
            f"{sum(map(len, judgement.faults.values()))} differences"
        ),
    )
    return replace(outcome, faults=silent)


FAULTS = (
    Fault(
        id="T13/forced",
        name="unclean election forced",
        what="of topics with two copies one broker is killed, the other acknowledges up to 30 transfers alone and is "
        "killed as well, and an administrator lets the first one lead the state, the requests, the results, the "
        "commands, the events or all of them; counted is each difference between callers, bank and topics of which "
        "neither a stopped shard or worker, nor the projector, nor the list of what is in doubt says anything; where "
        "the state alone lost something its shard may do it again, which emits again, and only the list says so; "
        "topics of the app are not cut, since nobody looks there",
        play=_forced,
        short=0,  # takes two minutes and more: brokers and groups have to notice two deaths
        each=1,
        published=20,
        full=40,
    ),
)
