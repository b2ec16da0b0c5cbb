"""The database of the simulation answers as the real inbox table does."""

from types import SimpleNamespace

from actionbus.contracts.results import ActionError
from actionbus.worker import inbox_table
from actionbus.worker.guarded_session import GuardedSession
from actionbus.worker.inbox_table import Status
from actionbus.worker.outcomes import Deferred, Done, Failed
from actionbus.worker.stores import Stores
from simulation.dice import Dice
from simulation.ledger import Ledger, Session, Table

KEYS = ("r:0/a", "r:0/a/undo", "r:0/a/1")
OUTCOMES = (Done(output=b'{"v":1}'), Deferred(), Failed(error=ActionError(type="Oops", message="it broke")))


async def test_statements_answer_as_those_of_the_real_table(tmp_path) -> None:
    """Whatever transactions insert, find, store, commit and roll back: model and SQLite say the same of every statement."""
    dice = Dice(0)
    async with Stores({"default": f"sqlite:///{tmp_path}/inbox.db"}) as stores:
        ledger = Ledger()
        for _ in range(40):
            real = GuardedSession(stores["default"].engine)
            model = Session((_quiet(ledger), SimpleNamespace(name="w1", running=True)))
            for _ in range(dice.number(1, 6)):
                await _same(dice, real, model)
            for each in (real, model):
                await each.discard()
            real = GuardedSession(stores["default"].engine)
            assert await inbox_table.find(real, *KEYS) == ledger.rows
            await real.discard()
            if dice.random() < 0.2:
                real = GuardedSession(stores["default"].engine)
                await real.execute(inbox_table.INBOX.delete())
                await real.settle()
                await real.discard()
                ledger.rows.clear()


async def _same(dice: Dice, real: GuardedSession, model: Session) -> None:
    """One statement on both."""
    key, other, outcome = dice.one_of(*KEYS), dice.one_of(*KEYS), dice.one_of(*OUTCOMES)
    match dice.one_of("insert", "insert", "find", "store", "settle", "start over"):
        case "insert":
            given = (key, dice.one_of(Status.DONE, Status.CANCELLED), "r:0/a/1", dice.one_of(None, "hash"))
            one = await inbox_table.insert(real, *given, unless=other)
            assert one == await Table.insert(model, *given, unless=other)
        case "find":
            assert await inbox_table.find(real, key, other) == await Table.find(model, key, other)
        case "store":
            assert await inbox_table.store(real, key, outcome) == await Table.store(model, key, outcome)
        case "settle":
            await real.settle()
            await model.settle()
        case _:
            await real.start_over()
            await model.start_over()


def _quiet(ledger: Ledger) -> SimpleNamespace:
    """A world in which nothing happens to a transaction."""

    async def leaves(*_):
        return 1, None

    async def left(_):
        pass

    return SimpleNamespace(ledger=ledger, leaves=leaves, left=left, tell=lambda *_: None, judging=_Nothing)


class _Nothing:
    def __enter__(self):
        pass

    def __exit__(self, *_):
        pass
