"""What `actionbus doctor` looks at: each check is one function that gives findings, each with what to do about it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from actionbus.cli import session
from actionbus.contracts import definitions, headers
from actionbus.contracts.commands import ControlKind, WorkerControl
from actionbus.contracts.errors import ActionbusError, DefinitionRefused, TopicMissing
from actionbus.contracts.records import OutRecord
from actionbus.contracts.topics import Topics
from actionbus.kafka.admin import UNCLEAN_ELECTION, Admin, ClusterFacts, TopicFacts, unclean
from actionbus.kafka.batches import Partition
from actionbus.kafka.open_transactions import OpenTransaction
from actionbus.kafka.producer import IdempotentProducer
from actionbus.kafka.reader import PartitionReader
from actionbus.process.settings import Settings
from actionbus.provisioner import deploy
from actionbus.provisioner import topics as provisioner
from actionbus.provisioner.topics import Wanted

CLOCK_MS: Final = 5_000  # from where on a clock that is wrong ends attempts at wrong times
COPIES: Final = 3
PROBE: Final = "doctor"
ENDS_TRIES: Final = 60  # a leader that has just begun does not answer yet
ENDS_PAUSE_SECONDS: Final = 0.5
HELD_BACK_MS: Final = 60_000  # as the alert for it: twice what an orchestrator's transaction may take
_SHOWN: Final = 5  # names in one sentence


class Level(StrEnum):
    """How serious a finding is."""

    OK = "ok"
    """As it should be."""
    WARNING = "warning"
    """It works, but something is promised less than it could be."""
    PROBLEM = "problem"
    """Something does not work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    check: str
    level: Level
    found: str
    advice: str = ""


class Examination:
    """Looks at one installation over one connection."""

    def __init__(self, settings: Settings, admin: Admin) -> None:
        self._settings = settings
        self._admin = admin
        self._names = Topics(settings.prefix)
        self._connection = session.connection(settings)
        self._cluster: ClusterFacts | None = None
        self._topics: dict[str, TopicFacts] = {}

    async def findings(self) -> AsyncIterator[Finding]:
        """Every check in turn; one that cannot be made is a problem itself, and the others follow."""
        checks: tuple[tuple[str, Callable[[], AsyncIterator[Finding]]], ...] = (
            ("brokers", self._brokers),
            ("nonce key", self._nonce),
            ("topics", self._own_topics),
            (_OPEN, self._open_transactions),
            ("clock", self._clock),
            ("orchestrators", self._orchestrators),
            ("workers", self._workers),
        )
        for name, check in checks:
            try:
                async for finding in check():
                    yield finding
            except ActionbusError as error:
                yield Finding(check=name, level=Level.PROBLEM, found=str(error))

    async def _brokers(self) -> AsyncIterator[Finding]:
        self._cluster = facts = await self._admin.describe_cluster()
        addresses = ", ".join(facts.brokers.values())
        few = len(facts.brokers) < COPIES
        yield Finding(
            check="brokers",
            level=Level.WARNING if few else Level.OK,
            found=f"{len(facts.brokers)} at {addresses}",
            advice="fewer than three brokers: what is acknowledged can be lost with one disk" if few else "",
        )
        if facts.unclean_election:
            yield Finding(
                check="unclean election",
                level=Level.PROBLEM,
                found="a leader may be elected that lacks acknowledged records",
                advice="set unclean.leader.election.enable=false on the brokers; no orchestrator starts before",
            )
        else:
            said = "it is off" if facts.unclean_election is False else "the brokers do not say"
            yield Finding(check="unclean election", level=Level.OK, found=said)

    async def _nonce(self) -> AsyncIterator[Finding]:
        if self._settings.nonce.current is not None or self._settings.kafka.loopback:
            yield Finding(check="nonce key", level=Level.OK, found="set, or not needed for a broker on this machine")
        else:
            yield Finding(
                check="nonce key",
                level=Level.WARNING,
                found="it is not set here",
                advice="orchestrators need ACTIONBUS_NONCE_CURRENT, all of them the same; nobody else does",
            )

    async def _own_topics(self) -> AsyncIterator[Finding]:
        settings, names = self._settings, self._names
        self._topics = await self._admin.topics(f"{settings.prefix}.")
        there = self._topics.get(names.requests)
        wanted = Wanted(
            prefix=settings.prefix,
            actions=[],
            shards=there.partitions if there is not None else settings.topics.shards,
            action_partitions=settings.topics.action_partitions,
            replication=settings.topics.replication_factor,
        )
        brokers = len(self._cluster.brokers) if self._cluster is not None else 1
        comparison = provisioner.compare(wanted, self._topics, brokers)
        if comparison.create:
            missing = _listed([plan.name for plan in comparison.create])
            yield Finding(check="topics", level=Level.PROBLEM, found=f"missing: {missing}", advice=_APPLY)
        for refused in comparison.refused:
            yield Finding(check="topics", level=Level.PROBLEM, found=f"{refused.topic}: {refused.reason}")
        for change in comparison.alter:
            found = f"{change.topic} has {change.name}={change.found}, it should be {change.wanted}"
            yield Finding(check="topics", level=Level.WARNING, found=found, advice=_APPLY)
        for name in unclean(self._topics):
            found = f"topic {name} may get a leader that lacks acknowledged records"
            advice = f"set its {UNCLEAN_ELECTION}=false; no orchestrator starts before"
            yield Finding(check="unclean election", level=Level.PROBLEM, found=found, advice=advice)
        thin = [name for name, facts in self._topics.items() if facts.replication < min(COPIES, brokers)]
        if thin:
            yield Finding(
                check="topics",
                level=Level.WARNING,
                found=f"fewer copies than there could be: {_listed(thin)}",
                advice="give them three, with kafka-reassign-partitions.sh",
            )
        if comparison.done and not thin:
            yield Finding(check="topics", level=Level.OK, found=f"{len(self._topics)}, {wanted.shards} shards")

    async def _open_transactions(self) -> AsyncIterator[Finding]:
        """Readers of committed records see nothing behind the first record of a transaction that has not ended."""
        places = [(each.name, number) for each in self._topics.values() for number in range(each.partitions)]
        held, silent = await self._held_back(places)
        told = set[Partition]()
        for each in await self._admin.open_transactions(held) if held else ():
            told.add((each.topic, each.partition))
            yield self._held_by(each)
        dark = (await self._held_back([place for place in held if place not in told]))[0]  # the others ended meanwhile
        for (topic, partition), offset in dark.items():
            found = f"{topic}, partition {partition}: readers see nothing from offset {offset} on, nobody says why"
            yield Finding(check=_OPEN, level=Level.WARNING, found=found, advice="ask again in a moment")
        for topic, partition in silent:
            found = f"no broker says where partition {partition} of topic {topic} ends"
            yield Finding(check=_OPEN, level=Level.PROBLEM, found=found, advice="look whether it has a leader")
        if not (told or dark or silent):
            yield Finding(check=_OPEN, level=Level.OK, found="none holds readers back")

    async def _held_back(self, places: Sequence[Partition]) -> tuple[dict[Partition, int], list[Partition]]:
        """Where readers of committed records stand below the end, and what no broker says anything of."""
        stable: dict[Partition, int] = {}
        written: dict[Partition, int] = {}
        async with PartitionReader(self._connection) as reader:
            for _ in range(ENDS_TRIES):
                missing = [place for place in places if place not in stable or place not in written]
                if not missing:
                    break
                stable |= await reader.ends(missing, committed=True)
                written |= await reader.ends(missing, committed=False)
                await asyncio.sleep(0 if len(stable) == len(places) else ENDS_PAUSE_SECONDS)
        known = stable.keys() & written.keys()
        held = {place: offset for place, offset in stable.items() if place in known and offset < written[place]}
        return held, [place for place in places if place not in known]

    def _held_by(self, found: OpenTransaction) -> Finding:
        """What there is to say of an open transaction."""
        where = f"{found.topic}, partition {found.partition}: readers see nothing from offset {found.offset} on"
        since = max(0, time.time_ns() // 1_000_000 - found.last_ms)
        if found.transactional_id is None:
            brokers = ",".join(self._settings.kafka.bootstrap_servers)
            return Finding(
                check=_OPEN,
                level=Level.PROBLEM,
                found=f"{where}; no coordinator knows the transaction of producer {found.producer_id}",
                advice="an orchestrator ends what its shard has left open; if it is still there after a minute, "
                "it never ends: let what was written in it count as aborted, kafka-transactions.sh "
                f"--bootstrap-server {brokers} abort --topic {found.topic} --partition {found.partition} "
                f"--start-offset {found.offset}",
            )
        old = since >= HELD_BACK_MS
        return Finding(
            check=_OPEN,
            level=Level.WARNING if old else Level.OK,
            found=f"{where}; {found.transactional_id} has its transaction open since {since / 1000:.0f} s",
            advice="the broker ends it once its time is over; look who begins such long ones" if old else "",
        )

    async def _clock(self) -> AsyncIterator[Finding]:
        """A word that every worker passes over is written to the control topic; the broker says when that was."""
        names, codec = self._names, session.codec(self._settings)
        if names.control not in self._topics:
            return
        word = WorkerControl(command_id=PROBE, action=PROBE, kind=ControlKind.UNKNOWN, reason="actionbus doctor")
        before = time.time_ns() // 1_000_000
        event = headers.cloud_event("WorkerControl", f"{PROBE}-{before}", PROBE, before)
        record = OutRecord(key=PROBE.encode(), value=codec.encode(word), headers=event)
        async with IdempotentProducer(self._connection) as producer:
            offset = await producer.append(names.control, 0, [record])
        after = time.time_ns() // 1_000_000
        async with PartitionReader(self._connection) as reader, asyncio.timeout(30):
            async with aclosing(reader.follow({(names.control, 0): offset})) as pages:
                broker = (await anext(pages))[0].timestamp_ms
        off = max(before - broker, broker - after, 0)
        yield Finding(
            check="clock",
            level=Level.WARNING if off > CLOCK_MS else Level.OK,
            found=f"it differs from the broker's by {off / 1000:g} s or more" if off else "it is the broker's",
            advice="set the clocks by NTP: workers see deadlines by their own clock" if off > CLOCK_MS else "",
        )

    async def _orchestrators(self) -> AsyncIterator[Finding]:
        names = self._names
        if names.requests not in self._topics:
            return
        members = await self._admin.members(names.orchestrator_group)
        owned = {place for member in members for place in member.partitions if place[0] == names.requests}
        shards = self._topics[names.requests].partitions
        if not members:
            advice = "start one: actionbus run orchestrator; what is asked for meanwhile is not lost"
            yield Finding(check="orchestrators", level=Level.PROBLEM, found="none runs", advice=advice)
        elif len(owned) < shards:
            found = f"{len(members)} run, {shards - len(owned)} of {shards} shards have no owner"
            advice = "look again in a moment: shards change hands; if it stays so, see the orchestrators' logs"
            yield Finding(check="orchestrators", level=Level.WARNING, found=found, advice=advice)
        else:
            yield Finding(check="orchestrators", level=Level.OK, found=f"{len(members)} own {shards} shards")

    async def _workers(self) -> AsyncIterator[Finding]:
        if self._names.definitions not in self._topics:
            return
        known = await deploy.deployed(self._connection, self._names, session.codec(self._settings))
        if not known:
            advice = "actionbus deploy MODULE"
            yield Finding(check="definitions", level=Level.WARNING, found="no workflow is deployed", advice=advice)
            return
        yield Finding(check="definitions", level=Level.OK, found=_listed(sorted(known)))
        actions: set[str] = set()
        for each in known.values():
            try:
                actions |= set(definitions.read_graph(each.graph).actions)
            except DefinitionRefused as error:
                yield Finding(check="definitions", level=Level.PROBLEM, found=f"{each.name}@{each.version}: {error}")
        async with PartitionReader(self._connection, isolation="read_uncommitted") as reader:
            for action in sorted(actions):
                yield await self._worker(action, reader)

    async def _worker(self, action: str, reader: PartitionReader) -> Finding:
        topic, group = self._names.commands(action), self._names.worker_group(action)
        check = f"workers of {action}"
        try:
            members = await self._admin.members(group)
            backlog = await self._backlog(topic, group, reader)
        except TopicMissing as error:
            return Finding(check=check, level=Level.PROBLEM, found=str(error), advice=_APPLY)
        found = f"{len(members)} run, {backlog} commands wait"
        if members:
            return Finding(check=check, level=Level.OK, found=found)
        level = Level.PROBLEM if backlog else Level.WARNING
        advice = "start one: actionbus run worker MODULE; the commands wait for it"
        return Finding(check=check, level=level, found=found, advice=advice)

    async def _backlog(self, topic: str, group: str, reader: PartitionReader) -> int:
        if topic not in self._topics:
            raise TopicMissing(f"topic {topic} does not exist")
        done = await self._admin.committed(group)
        waiting = 0
        for partition in range(self._topics[topic].partitions):
            place = (topic, partition)
            first = done[place].offset if place in done else await reader.earliest(*place)
            waiting += max(0, await reader.end(*place) - first)
        return waiting


_OPEN: Final = "open transactions"
_APPLY: Final = "actionbus topics apply MODULE"


def _listed(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
