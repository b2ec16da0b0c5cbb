"""Steps of which Kafka and a database say different things, as when one of the two was put back to an earlier instant.

Kafka says what was done, the inbox what the database holds of it. And runs of which two topics say different things, as
when one of them lost what was acknowledged. Nothing is changed here: a person decides what is to be done about a step
that is in doubt.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from actionbus.cli import session
from actionbus.contracts import definitions, identifiers
from actionbus.contracts.definitions import Effect
from actionbus.contracts.errors import DefinitionRefused, IdentifierRefused, RecordUnreadable, Refused, Unavailable
from actionbus.contracts.events import EntryKind, WorkflowEvent
from actionbus.contracts.identifiers import POSITION_KEY, UNDO
from actionbus.contracts.positions import ShardPosition
from actionbus.contracts.records import InRecord
from actionbus.contracts.run import WorkflowRun
from actionbus.contracts.topics import Topics
from actionbus.kafka.cluster import Cluster
from actionbus.kafka.codec import Codec
from actionbus.kafka.reader import PartitionReader
from actionbus.process.settings import Settings
from actionbus.provisioner import deploy
from actionbus.worker.inbox_table import INBOX, Status
from actionbus.worker.outcomes import NEVER_HAPPENED
from actionbus.worker.stores import DEFAULT_STORE, Stores

LOST: Final = "Kafka says that it was done, and the database has no row of it"
UNDO_LOST: Final = "Kafka says that it was undone, and the database has no row of that"
NOBODYS: Final = "the database holds it, and Kafka knows no such run"
TAKEN_BACK: Final = "the events say more of this run than its state, which lost what was acknowledged"
TWICE: Final = "its events say the same twice, as its state lost what was acknowledged and all of that came again"
_MANY: Final = 500  # keys in one question


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubtful:
    """One step in doubt, or a run."""

    run_id: str
    step_key: str
    """Empty where the whole run is in doubt."""
    action: str | None
    """None where only the database knows of it, which does not keep the name."""
    at: int
    """When it was done, epoch milliseconds: by the brokers' clock, or where only the database knows, the worker's."""
    found: str


async def find(settings: Settings, since_ms: int) -> AsyncIterator[Doubtful]:
    """The steps of transactional actions since an instant of which the two differ, for each database that is set.

    Before them the runs whose events since then say more than their state, or say the same twice.

    Runs that both the state and the events have forgotten by now are nobody's. Raises Refused where no database is
    set, Unavailable where one does not answer, and what reading topics raises.
    """
    urls = {name: url.get_secret_value() for name, url in settings.store.items()}
    if not urls:
        raise Refused("set ACTIONBUS_STORE_<NAME>_URL as for workers: the databases are compared with the topics")
    actions = await _actions(settings)
    told = await _told(settings, since_ms, actions)
    for run in told.behind:
        yield run
    stores = Stores(urls)
    for store in stores:
        try:
            async with store.engine.connect() as connection:
                async for each in _compared(connection, told.lives, told.done.get(store.name, {}), since_ms):
                    yield each
        except (DBAPIError, OSError) as error:
            raise Unavailable(f"store {store.name}: {error}") from error
        finally:
            await store.engine.dispose()


async def _actions(settings: Settings) -> dict[str, str]:
    """Transactional actions of all that is deployed, and the database of each."""
    known = await deploy.deployed(session.connection(settings), Topics(settings.prefix), session.codec(settings))
    found: dict[str, str] = {}
    for each in known.values():
        try:
            specs = definitions.read_graph(each.graph).actions
        except DefinitionRefused:  # the doctor names it
            continue
        for name, spec in specs.items():
            if spec.effect is Effect.TRANSACTIONAL:
                found[name] = spec.store or DEFAULT_STORE
    return found


@dataclass(slots=True, kw_only=True)
class _Told:
    """What Kafka says."""

    lives: set[str] = field(default_factory=set[str])
    """The lives of runs that it knows."""
    done: defaultdict[str, dict[str, Doubtful]] = field(
        default_factory=lambda: defaultdict[str, dict[str, Doubtful]](dict)
    )
    """What was done since an instant, by database and key of its row."""
    behind: list[Doubtful] = field(default_factory=list[Doubtful])
    """Runs whose state says less than their events, or did so once."""


@dataclass(slots=True, kw_only=True)
class _State:
    """What the state of a shard says."""

    versions: dict[str, int] = field(default_factory=dict[str, int])
    """Of each life that it knows."""
    requests_offset: int | None = None
    """Every start before it has been read; None where the shard has not written."""


async def _told(settings: Settings, since_ms: int, actions: Mapping[str, str]) -> _Told:
    connection, topics, codec = session.connection(settings), Topics(settings.prefix), session.codec(settings)
    told = _Told()
    async with Cluster(connection) as cluster:
        shards = await cluster.partitions(topics.events)
    async with PartitionReader(connection) as reader:
        for shard in range(shards):
            last: dict[str, WorkflowEvent] = {}
            twice: dict[str, WorkflowEvent] = {}
            start = await reader.since(topics.events, shard, since_ms)
            async for records in reader.read_to_end(topics.events, shard, start=start):
                for record in records:
                    event = codec.decode(WorkflowEvent, record.value)
                    life = f"{event.run_id}:{event.incarnation}"
                    told.lives.add(life)
                    for key, action, each in _steps(event, actions):
                        told.done[actions[action]][key] = each
                    if life in last and 0 < event.version <= last[life].version:
                        twice[life] = event
                    elif event.version:
                        last[life] = event
            # Behind the events: a state that is read later never says less than they do, unless it lost something.
            state = _State()
            async for records in reader.read_to_end(topics.state, shard):
                for record in records:
                    _note(codec, record, state)
            told.lives.update(state.versions)
            told.behind += (_behind(event, TWICE) for event in twice.values())
            told.behind += (_behind(event, TAKEN_BACK) for life, event in last.items() if _lost(state, life, event))
    return told


def _note(codec: Codec, record: InRecord, state: _State) -> None:
    if record.key is None or record.value is None:
        return
    try:
        if record.key == POSITION_KEY:
            state.requests_offset = codec.decode(ShardPosition, record.value).requests_offset
        else:
            run = codec.glance(WorkflowRun, record.value, "run_id", "incarnation", "version")
            state.versions[f"{run['run_id']}:{run['incarnation']}"] = run["version"]
    except RecordUnreadable:  # whoever owns the shard says so
        return


def _lost(state: _State, life: str, event: WorkflowEvent) -> bool:
    """Whether a state lacks what an event says. A run that it does not know at all may have been forgotten by now.

    Not so one that began by a request which the shard, as it says itself, has not yet read.
    """
    if life in state.versions:
        return event.version > state.versions[life]
    began = int(_own(event.incarnation), 36)
    return state.requests_offset is not None and began >= state.requests_offset


def _behind(event: WorkflowEvent, found: str) -> Doubtful:
    return Doubtful(run_id=event.run_id, step_key="", action=None, at=event.at, found=found)


def _steps(event: WorkflowEvent, actions: Mapping[str, str]) -> Iterable[tuple[str, str, Doubtful]]:
    """What a transition says was done in a database: the key of its row, its action, and how it is told."""
    for entry in event.entries:
        undo = entry.kind is EntryKind.STEP_COMPENSATED
        if (
            entry.step is None
            or entry.action is None
            or entry.action not in actions
            or (undo and entry.data == NEVER_HAPPENED)
        ):
            continue
        if undo or entry.kind is EntryKind.STEP_SUCCEEDED:
            key = identifiers.step_key(event.run_id, event.incarnation, entry.step)
            told = Doubtful(
                run_id=event.run_id,
                step_key=key,
                action=entry.action,
                at=event.at,
                found=UNDO_LOST if undo else LOST,
            )
            yield f"{key}/{UNDO}" if undo else key, entry.action, told


async def _compared(
    connection: AsyncConnection, lives: set[str], done: Mapping[str, Doubtful], since_ms: int
) -> AsyncIterator[Doubtful]:
    keys = sorted({*done, *(each.step_key for each in done.values())})
    there: dict[str, str] = {}
    for first in range(0, len(keys), _MANY):
        asked = select(INBOX.c.key, INBOX.c.status).where(INBOX.c.key.in_(keys[first : first + _MANY]))
        there.update({row.key: row.status for row in await connection.execute(asked)})
    for key, told in done.items():
        never = there.get(told.step_key) == Status.CANCELLED.value  # so that there is nothing to undo, either
        if key not in there and not never and not await _rewound(connection, key):
            yield told
    kept = (Status.DONE.value, Status.DEFERRED.value)
    rows = await connection.execute(
        select(INBOX.c.key, INBOX.c.command_id, INBOX.c.created_at)
        .where(INBOX.c.created_at >= since_ms, INBOX.c.status.in_(kept))
        .order_by(INBOX.c.created_at)
    )
    for key, command_id, created_at in rows:
        try:
            command = identifiers.parse_command_id(command_id)
        except IdentifierRefused:  # no row of ours
            continue
        if f"{command.run_id}:{_own(command.incarnation)}" not in lives:
            yield Doubtful(run_id=command.run_id, step_key=key, action=None, at=created_at, found=NOBODYS)


async def _rewound(connection: AsyncConnection, key: str) -> bool:
    """Whether there is a row of the step under the key that it has after its run went back."""
    life, _, path = key.partition("/")
    rows = await connection.execute(
        select(INBOX.c.key).where(
            INBOX.c.key.startswith(f"{life}.", autoescape=True), INBOX.c.key.endswith(f"/{path}", autoescape=True)
        )
    )
    return rows.first() is not None


def _own(incarnation: str) -> str:
    """The incarnation of the run itself; what began after it went back has a number behind it."""
    return incarnation.partition(".")[0]
