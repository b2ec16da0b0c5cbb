"""Judges a fault test from outside the system: by the rows and files that actions made, not by what actionbus says.

What the installation itself published is in `books`.
"""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from integration.ledger_app import declined

UNDONE_BY = {"reserve": "release", "charge": "refund"}
UNDOES = {undo: kind for kind, undo in UNDONE_BY.items()}
TABLE = """CREATE TABLE IF NOT EXISTS entries (
    step_key TEXT NOT NULL, kind TEXT NOT NULL, run_id TEXT NOT NULL, number INTEGER NOT NULL, pid INTEGER NOT NULL)"""

Outcomes = Mapping[str, tuple[int, str]]  # run id -> (order number, status)


@dataclass
class Judgement:
    """What is wrong; all four empty means that every effect happened exactly as often as promised."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    partial: list[str] = field(default_factory=list)
    uncompensated: list[str] = field(default_factory=list)

    @property
    def kinds(self) -> set[str]:
        """Which of the four are not empty."""
        return {kind for kind in ("lost", "doubled", "partial", "uncompensated") if getattr(self, kind)}

    @property
    def clean(self) -> bool:
        """Nothing is wrong."""
        return not self.kinds

    def __str__(self) -> str:
        found = {kind: getattr(self, kind) for kind in sorted(self.kinds)}
        return "\n".join(f"{kind} {len(texts)}: {'; '.join(texts[:10])}" for kind, texts in found.items())


class Ledger:
    """The SQLite file the actions of ``ledger_app`` write to, beside the worker's inbox, and their folder of notices."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ledger.sqlite"
        self.notices = folder / "notices"
        self.notices.mkdir()
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(TABLE)

    @property
    def url(self) -> str:
        """As a worker's store takes it."""
        return f"sqlite:///{self.path}"

    def rows(self, query: str) -> list[tuple]:
        """Every row of a query."""
        with closing(sqlite3.connect(self.path, timeout=60)) as connection:
            return connection.execute(query).fetchall()

    @property
    def runs_begun(self) -> int:
        """How many runs have left a row."""
        return self.rows("SELECT count(DISTINCT run_id) FROM entries")[0][0]

    def judge(self, outcomes: Outcomes) -> Judgement:
        """Compare the world with the outcomes that the callers of the runs were given."""
        found = Judgement()
        entries = self.rows("SELECT step_key, kind, run_id FROM entries")
        effects: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for _, kind, run_id in entries:
            effects[run_id][kind] += 1
        self._count_doubled(found, entries)
        self._count_partial(found, entries)
        told = Counter(path.name.split(":", 1)[0] for path in self.notices.iterdir())
        found.lost += [f"{run_id} left {dict(effects[run_id])} and no outcome" for run_id in effects.keys() - outcomes]
        for run_id, (number, status) in outcomes.items():
            if declined(number):
                _judge_declined(found, run_id, status, effects[run_id])
            else:
                _judge_completed(found, run_id, status, effects[run_id], told[run_id])
        return found

    def _count_doubled(self, found: Judgement, entries: list[tuple]) -> None:
        counts = Counter((step_key, kind) for step_key, kind, _ in entries)
        found.doubled += [f"{key} {kind} x{count}" for (key, kind), count in counts.items() if count > 1]

    def _count_partial(self, found: Judgement, entries: list[tuple]) -> None:
        """An effect and the inbox row that vouches for it stand or fall together, in both directions."""
        vouched = {key for (key,) in self.rows("SELECT key FROM actionbus_inbox WHERE status = 'DONE'")}
        done = {f"{key}/undo" if kind in UNDOES else key for key, kind, _ in entries}
        found.partial += [f"a row of {key} without its inbox row" for key in sorted(done - vouched)]
        found.partial += [f"an inbox row of {key} without its row" for key in sorted(vouched - done)]


def _judge_declined(found: Judgement, run_id: str, status: str, has: Counter[str]) -> None:
    if status != "FAILED":
        found.lost.append(f"{run_id} should have FAILED, is {status}")
    if not has["reserve"]:
        found.lost.append(f"{run_id} has not even reserved")
    for kind, undo in UNDONE_BY.items():
        if has[kind] != has[undo]:
            found.uncompensated.append(f"{run_id} {dict(has)}: {kind} is not undone once by {undo}")
    if has["ship"]:
        found.uncompensated.append(f"{run_id} {dict(has)}: shipped although it was declined")


def _judge_completed(found: Judgement, run_id: str, status: str, has: Counter[str], told: int) -> None:
    if status != "COMPLETED":
        found.lost.append(f"{run_id} should be COMPLETED, is {status}")
    for kind in ("reserve", "charge", "ship"):
        if has[kind] == 0:
            found.lost.append(f"{run_id} has no {kind}")
        elif has[kind] > 1:
            found.doubled.append(f"{run_id} has {kind} x{has[kind]} under different keys")
    if any(has[undo] for undo in UNDOES):
        found.lost.append(f"{run_id} {dict(has)}: completed, and yet something was undone")
    if told == 0:
        found.lost.append(f"{run_id} was not notified")
    elif told > 1:
        found.doubled.append(f"{run_id} was notified under {told} different keys")
