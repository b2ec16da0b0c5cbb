"""A bank that lives: an installation on a cluster, the world outside of it, and transfers that never pause.

A fault that is about a living installation is an injection into a house; `under_load` makes a round of it.
"""

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from actionbus.client import Client
from actionbus.client.over_http import HttpClient
from actionbus.contracts.topics import Topics
from actionbus.kafka.admin import Admin, TopicPlan
from actionbus.kafka.reader import PartitionReader
from faults import bank_app, former, restored, views
from faults.bank import Bank, Taken
from faults.fault import Outcome
from faults.ground import Ground
from faults.load import Load
from faults.restored import Past
from faults.wire import Wire, wired
from integration import books
from integration.installation import Installation, Service
from support.apache_kafka import ApacheKafka
from support.ports import free_ports
from support.topics import settled
from worker.peer import Peer

APP = Path(bank_app.__file__)
BOOTSTRAP = "ACTIONBUS_KAFKA_BOOTSTRAP_SERVERS"
MARKED_SECONDS = 240.0  # far above what is normal, and above what brokers need to abort what was left open
EMITTED = "transfers"  # behind the prefix: the topic that a completed transfer is told on
# The shortest session that Apache Kafka takes by default: a test of many deaths is not a test of waiting for them.
SESSIONS = {"ACTIONBUS_ORCHESTRATOR_SESSION_TIMEOUT_MS": "6000", "ACTIONBUS_WORKER_SESSION_TIMEOUT_MS": "6000"}


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a house is made of."""

    brokers: int = 1
    orchestrators: int = 2
    workers: int = 2
    projectors: int = 0
    """With one, the tables that people read are judged as well."""
    gateways: int = 0
    """With one, transfers are started and waited for over HTTP, at the first; it answers only beside a projector."""
    shards: int = 4
    in_flight: int = 4
    named: bool = True
    """Whether processes keep their share of a group while they are away, as they do in a stateful set."""
    wired: bool = False
    """Whether there is a wire between each process and the brokers, to be cut."""
    environment: Mapping[str, str] = field(default_factory=dict)
    topics: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Further topics that the app emits to, by their names behind the prefix, with their settings."""
    app: Path = APP
    """What is deployed and worked at: the bank, or a module with the bank and more."""
    release: str = ""
    """The release of before that all processes begin as, with an app that it knows; empty: what is tested."""


@dataclass
class House:
    """Everything that an injection may break, and has to mend again."""

    setting: Setting
    cluster: ApacheKafka
    installation: Installation
    bank: Bank
    peer: Peer
    load: Load
    chance: Random
    orchestrators: list[Service]
    workers: list[Service]
    wires: dict[str, Wire]
    """By the name of their service."""
    projectors: list[Service]
    gateways: list[Service]
    visibility: str
    """The address of the database of what people read; nothing is in it without a projector."""
    injected: int = 0
    recovery_ms: list[int] = field(default_factory=list)
    _last: float = 0.0

    @property
    def services(self) -> list[Service]:
        """Every process."""
        return [*self.orchestrators, *self.workers, *self.projectors, *self.gateways]

    def struck(self, count: int = 1) -> None:
        """Say that the fault was injected just now; the time until `recovered` is counted from here."""
        self.injected += count
        self._last = time.monotonic()

    async def recovered(self) -> None:
        """Return once every shard has carried a new transfer from its start to its end."""
        await self.load.probe()
        self.recovery_ms.append(round((time.monotonic() - self._last) * 1000))

    async def pause(self, most: float) -> None:
        """Let a random time pass, up to so many seconds, so that faults do not always meet the same moment."""
        await asyncio.sleep(self.chance.uniform(0, most))


Inject = Callable[[House, int], Awaitable[None]]


def under_load(inject: Inject, setting: Setting | None = None):
    """A round: open a house, inject so many times while transfers are under way, wait for their end, and judge."""

    async def play(ground: Ground, count: int, chance: Random) -> Outcome:
        with ground.room(inject.__name__.strip("_").replace("_", "-")) as room:
            cluster = ground.cluster((setting or Setting()).brokers)
            async with opened(ground, room, cluster, chance, setting or Setting()) as house:
                await inject(house, count)
                return await judged(house)

    return play


@asynccontextmanager
async def opened(
    ground: Ground,
    room: Path,
    cluster: ApacheKafka,
    chance: Random,
    setting: Setting,
    *,
    through: Callable[[str], AbstractAsyncContextManager[str]] = nullcontext,
    own: Mapping[str, Mapping[str, str]] | None = None,
    **more: str,
) -> AsyncIterator[House]:
    """A house with transfers under way.

    ``through``: from the address of the bank to that by which its workers reach it; ``more``: for the environment of
    its processes, and ``own`` for that of one of them, by its name.
    """
    prefix = f"{room.name}-{uuid.uuid4().hex[:8]}"
    orchestrating = [f"orchestrator-{n}" for n in range(setting.orchestrators)]
    working = [f"worker-{n}" for n in range(setting.workers)]
    entered = [*orchestrating, *working] if setting.wired else []
    url = await ground.database(prefix)
    async with Peer() as peer, through(url) as address, wired(cluster, entered) as wires:
        bank = Bank(url=url, folder=room, peer=peer, stamps=not setting.release)
        visibility = await ground.database(f"{prefix}-views")
        await bank.open()
        installation = Installation(
            bootstrap=cluster.bootstrap,
            prefix=prefix,
            folder=room,
            app=setting.app,
            stores={"bank": address},
            extra={
                "BANK_FOLDER": str(room),
                "BANK_PEER": peer.url,
                "BANK_TOPIC": f"{prefix}-{EMITTED}",
                "ACTIONBUS_TOPICS_REPLICATION_FACTOR": str(setting.brokers),
                **({"ACTIONBUS_VISIBILITY_URL": visibility} if not setting.release else {}),
                **SESSIONS,
                **setting.environment,
                **more,
            },
            named=setting.named,
            shards=setting.shards,
            own=own or {name: {BOOTSTRAP: wire.bootstrap} for name, wire in wires.items()},
            code=former.unpacked(setting.release, room) if setting.release else None,
        )
        try:
            async with Admin(installation.connection) as admin:
                while len((await admin.describe_cluster()).brokers) < setting.brokers:  # noqa: ASYNC110 - no event tells
                    await asyncio.sleep(0.1)  # a broker takes connections before it is one of the cluster
                await admin.create_topics(
                    [
                        TopicPlan(
                            name=f"{prefix}-{name}",
                            partitions=setting.shards,
                            replication=setting.brokers,
                            settings=settings,
                        )
                        for name, settings in ({EMITTED: {}} | dict(setting.topics)).items()
                    ]
                )
            await asyncio.to_thread(installation.prepare)
            orchestrators = [installation.orchestrator(name) for name in orchestrating]
            workers = [installation.worker(name) for name in working]
            projectors = [installation.projector(f"projector-{n}") for n in range(setting.projectors)]
            ports = free_ports(setting.gateways)
            gateways = [installation.gateway(port, f"gateway-{n}") for n, port in enumerate(ports)]
            await asyncio.to_thread(installation.wait_ready)
            async with (
                _client(installation, ports) as client,
                Load(client, setting.shards, setting.in_flight) as load,
            ):
                await load.probe()
                yield House(
                    *(setting, cluster, installation, bank, peer, load, chance),
                    *(orchestrators, workers, wires, projectors, gateways, visibility),
                )
        finally:
            installation.close()


def _client(installation: Installation, ports: list[int]) -> Client | HttpClient:
    """Over HTTP where there is a gateway."""
    if ports:
        return HttpClient(f"http://127.0.0.1:{ports[0]}")
    return Client(installation.connection, prefix=installation.prefix)


async def judged(house: House, past: Past | None = None, taken: Taken | None = None) -> Outcome:
    """The end of a round: no fault any more, everything under way ends, and then everything is counted.

    ``past``: how often Kafka was put back; what is missing since then has to have begun after its copy. ``taken``: what
    the database lost when it was put back.
    """
    await house.load.finish()
    unfinished = len(house.load.begun) - len(house.load.outcomes)
    made = house.installation
    await _marked(made)
    published = await books.read(made.connection, made.prefix, made.shards)
    outcomes, forgotten, unexplained, note = house.load.outcomes, frozenset(), [], ""
    if past is not None:
        known = frozenset(published.versions)
        forgotten, unexplained = past.forgotten(known, await restored.lives(house.bank))
        outcomes, gone = restored.told(outcomes, known)
        note = (
            f"{len(forgotten)} lives of transfers began after a copy and are gone with what was put back; the callers "
            f"of {len(gone)} transfers had been told an end by then, the others started theirs again"
        )
    judgement = await house.bank.judge(outcomes, await emitted(made), forgotten, taken)
    judgement.lost += unexplained
    judgement.disordered += published.violations(outcomes)
    if house.projectors:
        judgement.disordered += await views.violations(house.visibility, published)
    return Outcome.of(
        judgement,
        injected=house.injected,
        workflows=len(house.load.begun),
        unfinished=unfinished,
        recovery_ms=tuple(house.recovery_ms),
        note=note,
    )


async def _marked(made: Installation) -> None:
    """Return once every transaction has its markers: a commit is told of before all of its partitions show it."""
    topics = Topics(made.prefix)
    names = (topics.requests, topics.state, topics.events, f"{made.prefix}-{EMITTED}")
    places = [(name, partition) for name in names for partition in range(made.shards)]
    async with asyncio.timeout(MARKED_SECONDS):
        await settled(made.connection, places)


async def emitted(made: Installation) -> Counter[str]:
    """How many records each run has emitted, by who skips what was not committed."""
    found: Counter[str] = Counter()
    async with PartitionReader(made.connection) as reader:
        for partition in range(made.shards):
            async for page in reader.read_to_end(f"{made.prefix}-{EMITTED}", partition):
                found.update(record.key.decode() for record in page)
    return found
