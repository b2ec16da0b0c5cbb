"""Data that is put back to an earlier instant: how it is copied, and what is lost with what came after the copy.

Whatever began after the copy is gone with it, and only that. What is gone leaves effects in the world that belong to
no run any more; everything else has to be as whole as if nothing had been put back.
"""

import shutil
import signal
import time
from collections.abc import Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from actionbus.contracts.identifiers import parse_command_id
from actionbus.contracts.topics import Topics
from actionbus.kafka.connection import Connection
from actionbus.kafka.partitioning import partition_for
from actionbus.kafka.reader import PartitionReader
from faults.bank import Bank, Outcomes, Taken, life_of, row_of
from support.apache_kafka import ApacheKafka, Node

FROZEN_SECONDS = 60.0
# A broker maps room for its indexes, and a copy would read all of it, most of it zeros.
SMALL = {"log.index.size.max.bytes": "65536"}


@contextmanager
def frozen(node: Node):
    """While it is entered no thread of a broker runs."""
    assert node.process is not None
    node.process.send_signal(signal.SIGSTOP)
    try:
        deadline = time.monotonic() + FROZEN_SECONDS
        while any(state not in "TtZ" for state in _states(node.process.pid)):
            assert time.monotonic() < deadline, "the broker does not stand still"
            time.sleep(0.001)
        yield
    finally:
        node.process.send_signal(signal.SIGCONT)


def _states(pid: int) -> list[str]:
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found.append((task / "stat").read_text().rpartition(")")[2].split()[0])
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            continue
    return found


def copy(cluster: ApacheKafka, folder: Path) -> int:
    """Copy the data of all brokers as it is at one instant, which is returned: epoch milliseconds.

    Nothing is written while it is copied, as where a volume is kept by a snapshot.
    """
    shutil.rmtree(folder, ignore_errors=True)
    with ExitStack() as stack:
        for node in cluster.nodes:
            stack.enter_context(frozen(node))
        moment = time.time_ns() // 1_000_000
        for node in cluster.nodes:
            shutil.copytree(node.folder / "data", folder / node.folder.name)
    return moment


def put_back(cluster: ApacheKafka, folder: Path) -> None:
    """Replace the data of all brokers, which have ended, by a copy."""
    for node in cluster.nodes:
        shutil.rmtree(node.folder / "data")
        shutil.copytree(folder / node.folder.name, node.folder / "data")


TABLES = ("accounts", "moves", "actionbus_inbox", "actionbus_journal", "actionbus_outbox")
MOVES = "SELECT step_key, kind, run_id, account, amount FROM moves"


@dataclass(kw_only=True)
class Backup:
    """A database as it was at one instant, kept beside it, and what it lost since when it was put back."""

    bank: Bank
    moment: int
    """Epoch milliseconds, a little before it."""
    stamped: frozenset[str]
    lost: list[tuple] = field(default_factory=list)
    began_since: frozenset[str] = frozenset()

    async def put_back(self) -> None:
        """Make the database what it was; nobody may be at work on it."""
        now = await self.bank.rows(MOVES)
        await self._do(*(f"TRUNCATE {table}" for table in TABLES))
        await self._do(*(f"INSERT INTO {table} SELECT * FROM kept.{table}" for table in TABLES))  # noqa: S608 - names of ours
        kept = {(key, kind) for key, kind, *_ in await self.bank.rows(MOVES)}
        self.lost += [move for move in now if (move[0], move[1]) not in kept]
        self.began_since = frozenset(stamps(self.bank)) - self.stamped

    async def taken(self) -> Taken:
        """What is still missing, once everything has ended."""
        rows = dict(await self.bank.rows("SELECT key, status FROM actionbus_inbox"))
        return Taken(
            moves=[
                move
                for move in self.lost
                if row_of(move[0], move[1]) not in rows and rows.get(move[0]) != "CANCELLED"  # undone, or never done
            ],
            cancelled={key for key, *_ in self.lost if rows.get(key) == "CANCELLED"},
            stamped=set(self.began_since),
        )

    async def _do(self, *statements: str) -> None:
        await _do(self.bank, *statements)


def stamps(bank: Bank) -> list[str]:
    """The step keys of what ran at most once, as its code wrote them down."""
    path = bank.folder / "stamped"
    return path.read_text().splitlines() if path.exists() else []


async def backup(bank: Bank) -> Backup:
    """Keep all tables as they are at one instant, as a dump of the database does."""
    moment, stamped = time.time_ns() // 1_000_000, frozenset(stamps(bank))
    await _do(
        bank,
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "CREATE SCHEMA kept",
        *(f"CREATE TABLE kept.{table} AS TABLE {table}" for table in TABLES),
    )
    return Backup(bank=bank, moment=moment, stamped=stamped)


async def _do(bank: Bank, *statements: str) -> None:
    """All of it in one transaction."""
    engine = create_async_engine(bank.url)
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))
    await engine.dispose()


@dataclass(frozen=True, kw_only=True)
class Return:
    """Once that Kafka was put back."""

    moment: int
    """When the copy was made, epoch milliseconds."""
    before: frozenset[str]
    """Lives of runs that had an effect in the bank when it was made."""
    gone: frozenset[str]
    """Those that had one when everything ended, before it was put back."""


async def lives(bank: Bank) -> frozenset[str]:
    """Of which lives of runs the bank holds anything now."""
    return frozenset(life_of(key) for (key,) in await bank.rows("SELECT step_key FROM moves"))


@dataclass(kw_only=True)
class Past:
    """Every return to a copy in one round."""

    returns: list[Return] = field(default_factory=list)
    edges: list[dict[int, int]] = field(default_factory=list)
    """For each return and shard: the first offset of its requests that is of after the copy."""
    missing: frozenset[str] = frozenset()
    """Lives that Kafka does not know at the end."""

    async def look(self, connection: Connection, prefix: str, shards: int) -> None:
        """Find out where the requests go on after the last copy. Topics go by the broker's clock, which is ours."""
        async with PartitionReader(connection, isolation="read_uncommitted") as reader:
            topic, moment = Topics(prefix).requests, self.returns[-1].moment
            self.edges.append({shard: await reader.since(topic, shard, moment) for shard in range(shards)})

    def forgotten(self, known: frozenset[str], met: frozenset[str]) -> tuple[frozenset[str], list[str]]:
        """Lives that the bank has met and Kafka does not know, and each that it should know all the same."""
        missing = self.missing = met - known
        return missing, [f"{life}: {why}" for life in sorted(missing) if (why := self._why(life))]

    def _why(self, life: str) -> str | None:
        """Why a life may not be missing; None where it began after the copy that was put back."""
        run_id, incarnation = (made := parse_command_id(f"{life}/step/1")).run_id, made.incarnation
        for back, edges in zip(self.returns, self.edges, strict=True):
            if life in back.before:
                return "it had an effect when the copy was made, and Kafka does not know it"
            if life in back.gone:
                shard = partition_for(run_id.encode(), len(edges))
                began, edge = int(incarnation, 36), edges[shard]
                return None if began >= edge else f"it began at {began}, the copy holds the requests before {edge}"
        return "Kafka does not know it, and it began after everything was put back"


def told(outcomes: Outcomes, known: frozenset[str]) -> tuple[Mapping[str, tuple[int, str]], frozenset[str]]:
    """What callers were told of runs that Kafka knows, and the runs of which it knows nothing."""
    runs = {life.rpartition(":")[0] for life in known}
    gone = frozenset(outcomes.keys() - runs)
    return {run_id: said for run_id, said in outcomes.items() if run_id in runs}, gone
