"""Steps of which Kafka and a database say different things, as when one of the two was put back to an earlier instant.

Kafka says what was done, the inbox what the database holds of it. Nothing is changed here: what is to be done about a
step that is in doubt, a person decides.
"""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
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
_MANY: Final = 500  # keys in one question


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubtful:
    """One step in doubt."""

    run_id: str
    step_key: str
    action: str | None
    """None where only the database knows of it, which does not keep the name."""
    at: int
    """When it was done, epoch milliseconds: by the brokers' clock, or where only the database knows, the worker's."""
    found: str


async def find(settings: Settings, since_ms: int) -> AsyncIterator[Doubtful]:
    """The steps of transactional actions since an instant of which the two differ, for each database that is set.

    Runs that both the state and the events have forgotten by now are nobody's. Raises Refused where no database is
    set, Unavailable where one does not answer, and what reading topics raises.
    """
    urls = {name: url.get_secret_value() for name, url in settings.store.items()}
    if not urls:
        raise Refused("set ACTIONBUS_STORE_<NAME>_URL as for workers: the databases are compared with the topics")
    actions = await _actions(settings)
    lives, done = await _told(settings, since_ms, actions)
    stores = Stores(urls)
    for store in stores:
        try:
            async with store.engine.connect() as connection:
                async for each in _compared(connection, lives, done.get(store.name, {}), since_ms):
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


async def _told(
    settings: Settings, since_ms: int, actions: Mapping[str, str]
) -> tuple[set[str], dict[str, dict[str, Doubtful]]]:
    """The lives of runs that Kafka knows; and by database and key of its row, what was done since an instant."""
    connection, topics, codec = session.connection(settings), Topics(settings.prefix), session.codec(settings)
    lives = set[str]()
    done: defaultdict[str, dict[str, Doubtful]] = defaultdict(dict)
    async with Cluster(connection) as cluster:
        shards = await cluster.partitions(topics.events)
    async with PartitionReader(connection) as reader:
        for shard in range(shards):
            async for records in reader.read_to_end(topics.state, shard):
                for record in records:
                    if record.key is not None and record.key != POSITION_KEY and record.value is not None:
                        lives.update(_life(codec, record.value))
            start = await reader.since(topics.events, shard, since_ms)
            async for records in reader.read_to_end(topics.events, shard, start=start):
                for record in records:
                    event = codec.decode(WorkflowEvent, record.value)
                    lives.add(f"{event.run_id}:{event.incarnation}")
                    for key, action, each in _steps(event, actions):
                        done[actions[action]][key] = each
    return lives, done


def _life(codec: Codec, value: bytes) -> Iterable[str]:
    try:
        run = codec.glance(WorkflowRun, value, "run_id", "incarnation")
    except RecordUnreadable:
        return ()
    return (f"{run['run_id']}:{run['incarnation']}",)


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
