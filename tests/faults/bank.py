"""The bank outside of the system: made before a fault, and judged after it by counting every row, call and line.

What the installation itself published about its runs is judged by `integration.books`.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from faults import bank_app
from worker.peer import Peer

OPENING = 1_000
UNDONE_BY = {"withdraw": "put-back", "deposit": "take-back"}
UNDOES = {undo: kind for kind, undo in UNDONE_BY.items()}
ACCOUNTS = "CREATE TABLE accounts (account INTEGER PRIMARY KEY, balance BIGINT NOT NULL)"
MOVES = """CREATE TABLE moves (
    step_key TEXT NOT NULL, kind TEXT NOT NULL, run_id TEXT NOT NULL, account INTEGER NOT NULL, amount BIGINT NOT NULL)"""

Outcomes = Mapping[str, tuple[int, str]]
"""Run id -> (number of the transfer, status that its caller was told)."""


@dataclass
class Judgement:
    """What is wrong: all of it empty means that every effect happened exactly as often as promised."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    partial: list[str] = field(default_factory=list)
    uncompensated: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    """Histories that are not one line from a start to an end, or do not say what the caller was told."""
    steps: int = 0
    """Step keys under which something happened outside."""
    effects: int = 0
    """Rows, calls and lines that were counted."""
    doubted: int = 0
    """Steps that run at most once, and of which nobody could say whether they had: not a fault, and not hidden."""

    @property
    def faults(self) -> dict[str, list[str]]:
        """What is not empty."""
        kinds = ("lost", "doubled", "partial", "uncompensated", "disordered")
        return {kind: getattr(self, kind) for kind in kinds if getattr(self, kind)}

    def __str__(self) -> str:
        return "\n".join(f"{kind} {len(texts)}: {'; '.join(texts[:10])}" for kind, texts in self.faults.items())


@dataclass(kw_only=True)
class Taken:
    """What a database had, and lost when it was put back: effects that their runs go on to rely on."""

    moves: list[tuple] = field(default_factory=list)
    """Rows as they were, of those that are not there again."""
    cancelled: set[str] = field(default_factory=set)
    """Step keys of which it now says that they never happened, since that was asked before they were done again."""
    stamped: set[str] = field(default_factory=set)
    """Step keys whose rows in the journal were taken: these may run once more."""


@dataclass
class Bank:
    """A database with accounts, a peer over HTTP, and a folder of lines."""

    url: str
    folder: Path
    peer: Peer
    stamps: bool = True
    """Whether a transfer has a step that runs at most once."""

    async def open(self) -> None:
        """Make the tables, and the accounts with what they hold."""
        engine = self._engine()
        async with engine.begin() as connection:
            for table in (ACCOUNTS, MOVES):
                await connection.execute(text(table))
            opening = [{"account": number, "balance": OPENING} for number in range(bank_app.ACCOUNTS)]
            await connection.execute(text("INSERT INTO accounts VALUES (:account, :balance)"), opening)
        await engine.dispose()

    async def judge(
        self,
        outcomes: Outcomes,
        emitted: Counter[str],
        forgotten: AbstractSet[str] = frozenset(),
        taken: Taken | None = None,
    ) -> Judgement:
        """Compare the world with what the callers were told; ``emitted``: records by run, as committed readers see.

        ``forgotten``: lives of runs that Kafka knew of once, until it was put back: nobody goes on with them, and each
        of their effects is judged by itself alone. ``taken``: what the database lost is judged as if it were there.
        """
        taken = taken or Taken()
        moves = await self.rows("SELECT step_key, kind, run_id, account, amount FROM moves")
        vouched = {key for (key,) in await self.rows("SELECT key FROM actionbus_inbox WHERE status = 'DONE'")}
        balances = dict(await self.rows("SELECT account, balance FROM accounts"))
        moves += taken.moves
        for key, kind, _, account, by in taken.moves:
            vouched.add(row_of(key, kind))
            balances[account] += by
        found = Judgement()
        self._judge_rows(found, moves, vouched, balances, forgotten)
        stamps, told = Counter(self._lines("stamped")), Counter(self._lines("announced"))
        doubts = set(self._lines("doubted"))
        found.doubled += [
            f"{key} was stamped {count} times" for key, count in stamps.items() if count > 1 + (key in taken.stamped)
        ]
        calls = self.peer.effects
        found.doubled += [f"the peer did {key} {count} times" for key, count in calls.items() if count > 1]
        by_run = _by_run(moves, {"insure": calls, "stamp": stamps, "announce": told, "emit": emitted}, forgotten)
        found.lost += [
            f"{run_id} did {dict(by_run[run_id])} and has no outcome" for run_id in by_run.keys() - outcomes.keys()
        ]
        for run_id, (number, status) in outcomes.items():
            wanted = "FAILED" if bank_app.fails(number) else "COMPLETED"
            if status != wanted:
                found.lost.append(f"{run_id} should be {wanted}, is {status}")
            elif wanted == "FAILED":
                never = any(key.partition(":")[0] == run_id for key in taken.cancelled)
                _judge_failed(found, run_id, by_run[run_id], never=never)
            else:
                unsure = run_id in doubts or not self.stamps
                _judge_completed(found, run_id, by_run[run_id], doubted=unsure)
        found.doubted = len(doubts)
        found.steps = len({key for key, *_ in moves} | calls.keys() | stamps.keys() | told.keys())
        found.effects = len(moves) + calls.total() + stamps.total() + told.total() + emitted.total()
        return found

    async def rows(self, query: str) -> list[tuple]:
        """Every row of a query."""
        engine = self._engine()
        async with engine.connect() as connection:
            found = [tuple(row) for row in await connection.execute(text(query))]
        await engine.dispose()
        return found

    def _engine(self) -> AsyncEngine:
        return create_async_engine(self.url)

    def _lines(self, file: str) -> list[str]:
        path = self.folder / file
        return path.read_text().splitlines() if path.exists() else []

    @staticmethod
    def _judge_rows(
        found: Judgement,
        moves: list[tuple],
        vouched: set[str],
        balances: dict[int, int],
        forgotten: AbstractSet[str] = frozenset(),
    ) -> None:
        """No move twice, none without the inbox row that vouches for it, and every balance the sum of its moves."""
        counts = Counter((key, kind) for key, kind, *_ in moves)
        found.doubled += [f"{key} {kind} x{count}" for (key, kind), count in counts.items() if count > 1]
        done = {row_of(key, kind) for key, kind, *_ in moves}
        found.partial += [f"a move of {key} without its inbox row" for key in sorted(done - vouched)]
        found.partial += [f"an inbox row of {key} without its move" for key in sorted(vouched - done)]
        sums: defaultdict[int, int] = defaultdict(lambda: OPENING)
        for *_, account, by in moves:
            sums[account] += by
        for account, balance in balances.items():
            if balance != sums[account]:
                found.partial.append(f"account {account} holds {balance}, its moves come to {sums[account]}")
        total = OPENING * bank_app.ACCOUNTS + sum(by for key, *_, by in moves if life_of(key) in forgotten)
        if not found.faults and sum(balances.values()) != total:
            found.uncompensated.append(f"all accounts together hold {sum(balances.values())} instead of {total}")


def row_of(key: str, kind: str) -> str:
    """The key of the inbox row that vouches for a move."""
    return f"{key}/undo" if kind in UNDOES else key


def life_of(key: str) -> str:
    """The life of a run, run:incarnation, that a step key, or one of its undo, is of."""
    return key.partition("/")[0]


def _by_run(
    moves: list[tuple], others: Mapping[str, Counter[str]], forgotten: AbstractSet[str] = frozenset()
) -> dict[str, Counter[str]]:
    """What happened for each run, by kind; a key begins with its run."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for key, kind, run_id, *_ in moves:
        if life_of(key) not in forgotten:
            found[run_id][kind] += 1
    for kind, counts in others.items():
        for key, count in counts.items():
            if life_of(key) in forgotten:
                continue
            undo = kind == "insure" and key.endswith("/undo")
            found[key.partition(":")[0]]["uninsure" if undo else kind] += count
    return found


def _judge_failed(found: Judgement, run_id: str, did: Counter[str], *, never: bool = False) -> None:
    for kind, undo in (*UNDONE_BY.items(), ("insure", "uninsure")):
        if did[kind] != did[undo]:
            found.uncompensated.append(f"{run_id} {dict(did)}: {kind} is not undone once by {undo}")
    if left := [kind for kind in ("settle", "emit", "dawdle", "wake") if did[kind]]:
        found.uncompensated.append(f"{run_id} {dict(did)}: it failed, and left {left}")
    if not did["withdraw"] and not never:
        found.lost.append(f"{run_id} has not even withdrawn")


def _judge_completed(found: Judgement, run_id: str, did: Counter[str], *, doubted: bool) -> None:
    for kind in ("withdraw", "deposit", "insure", "settle", "emit"):
        if did[kind] == 0:
            found.lost.append(f"{run_id} has no {kind}")
        elif did[kind] > 1:
            found.doubled.append(f"{run_id} has {kind} x{did[kind]}")
    if not did["announce"]:
        found.lost.append(f"{run_id} was not announced")
    if not did["stamp"] and not doubted:
        found.lost.append(f"{run_id} was not stamped, and nobody doubted it")
    if any(did[undo] for undo in (*UNDOES, "uninsure")):
        found.lost.append(f"{run_id} {dict(did)}: completed, and yet something was undone")
