"""The database of the workers, with their inbox in it, as PostgreSQL behaves at READ COMMITTED. It outlives every process.

The protocol that is run against it is the shipped `worker/inbox.py`. What is modelled are the three statements of
`worker/inbox_table.py` and the end of a transaction; `test_ledger.py` holds the model against the real statements.
"""

import asyncio
import importlib
from contextlib import contextmanager
from dataclasses import replace
from unittest import mock

from sqlalchemy.exc import OperationalError

from actionbus.contracts import identifiers
from actionbus.worker import stored
from actionbus.worker.inbox_table import Entry, Status
from actionbus.worker.outcomes import Deferred
from simulation.judgement import hold

IDLE_MS = 5_000  # after so long the server gives up on a connection that its process has left standing


class Ledger:
    """What is committed: the rows of the inbox, and what user code did beside them."""

    def __init__(self, given=lambda _: None) -> None:
        self._given = given  # called with the token of an attempt that somebody else is to answer, once it is committed
        self.rows: dict[str, Entry] = {}
        self.done: set[str] = set()  # step keys whose effect is there, or was
        self.undone: set[str] = set()
        self.open: list[Session] = []
        self.locks: dict[str, Session] = {}

    def commit(self, session: "Session") -> None:
        """Everything a session did, at once."""
        for effect, key in session.effects:
            row = self.rows.get(key)
            if effect == "token":
                self._given(key)
            elif effect == "done":
                hold(key not in self.done, "an effect happens once", f"{key} happened twice")
                hold(row is None or row.status is not Status.CANCELLED, "no effect after its CANCELLED row", key)
                self.done.add(key)
            else:
                hold(key in self.done, "only what was done is undone", key)
                hold(key not in self.undone, "an effect is undone once", f"{key} was undone twice")
                self.undone.add(key)
        self.rows |= session.rows

    def closed(self, key: str) -> bool:
        """Whether a step has left nothing behind and never will."""
        row = self.rows.get(key)
        return key in self.undone or (row is not None and row.status is Status.CANCELLED)

    def there(self, key: str) -> bool:
        """Whether what a step did is there."""
        return key in self.done and key not in self.undone

    def leave(self, process) -> None:
        """A process is gone, or was silent for too long: its transactions are rolled back."""
        for session in [each for each in self.open if each.process is process]:
            session.cut = True
            session.end()


class Session:
    """One transaction, where the shipped worker has a ``GuardedSession``. The engine of a store is given as ``(world, process)``."""

    def __init__(self, engine) -> None:
        self.world, self.process = engine
        self.ledger: Ledger = self.world.ledger
        self.rows: dict[str, Entry] = {}
        self.effects: list[tuple[str, str]] = []
        self.cut = False
        self._ended = asyncio.Event()
        self.ledger.open.append(self)

    async def execute(self, effect: str, key: str) -> None:
        """User code writes."""
        self.check()
        self.effects.append((effect, key))

    async def claim(self, key: str) -> bool:
        """Wait for whoever has inserted the key and has not ended; whether it may be inserted now."""
        self.check()
        while (holder := self.ledger.locks.get(key, self)) is not self:
            await holder._ended.wait()
            self.check()
        if key in self.rows or key in self.ledger.rows:
            return False
        self.ledger.locks[key] = self
        return True

    def check(self) -> None:
        """Raise what the driver raises when the connection is gone."""
        if self.cut:
            raise OperationalError("a statement", None, ConnectionError("the server has closed the connection"))

    async def settle(self) -> None:
        """Commit."""
        self.check()
        _, trouble = await self.world.leaves(self.process, "settle", "")
        self.check()
        fate = "" if trouble is None else trouble.fate
        if fate != "lost":
            self.world.tell(self.process.name, "commits", *self.rows, *self.effects)
            with self.world.judging():
                self.ledger.commit(self)
        self.end()
        await self.world.left(self.process)
        if fate in ("lost", "unanswered"):
            self.cut = True
        self.check()
        await asyncio.sleep(0)
        self._ended = asyncio.Event()

    async def start_over(self) -> None:
        """Roll back, and be ready for another transaction."""
        self.check()
        self.end()
        self._ended = asyncio.Event()

    async def discard(self) -> None:
        """Roll back whatever is open."""
        self.end()
        if self in self.ledger.open:
            self.ledger.open.remove(self)

    def end(self) -> None:
        """Let go of every lock; whoever waits for one goes on."""
        self.rows, self.effects = {}, []
        locks = self.ledger.locks
        for key in [key for key, holder in locks.items() if holder is self]:
            del locks[key]
        self._ended.set()


class Store:
    """A database as the shipped execution takes it."""

    name = "default"
    outbox = False

    def __init__(self, world, process) -> None:
        self.engine = (world, process)
        self.slots = asyncio.Semaphore(10)

    async def allow(self, session, attempt_ms) -> None:
        """There are no timeouts to raise."""


async def insert(session, key, status, command_id, input_hash, *, unless) -> bool:
    """As ``inbox_table.insert``: what the statement sees of ``unless`` is what was committed when it began."""
    del command_id
    found = unless in session.rows or unless in session.ledger.rows
    if found or not await session.claim(key):
        return False
    session.rows[key] = Entry(key=key, status=status, input_hash=input_hash, result=None)
    return True


async def find(session, *keys) -> dict[str, Entry]:
    """As ``inbox_table.find``."""
    session.check()
    seen = session.ledger.rows | session.rows if session.rows else session.ledger.rows
    return {key: seen[key] for key in keys if key in seen}


async def store(session, key, outcome) -> bool:
    """As ``inbox_table.store``."""
    session.check()
    row = session.rows.get(key) or session.ledger.rows.get(key)
    if row is None:
        return False
    status = Status.DEFERRED if isinstance(outcome, Deferred) else row.status
    session.rows[key] = replace(row, status=status, result=stored.write(outcome))
    return True


class Table:
    """What the inbox knows as the module ``inbox_table``."""

    Status, insert, find, store = Status, staticmethod(insert), staticmethod(find), staticmethod(store)


@contextmanager
def installed():
    """The shipped inbox protocol, and a change of it that is being tried, work on the ledger inside."""
    inbox = importlib.import_module("actionbus.worker.inbox")
    transactions = importlib.import_module("actionbus.worker.transactions")
    with (
        mock.patch.multiple(inbox, inbox_table=Table),
        mock.patch.multiple(transactions, GuardedSession=Session),
    ):
        yield


def undo_key(step_key: str) -> str:
    """The key of the row that vouches for an undo."""
    return f"{step_key}/{identifiers.UNDO}"
