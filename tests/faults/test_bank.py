"""The oracle of the injected faults sees what it is there to see: each kind of damage, made by hand, is reported."""

from collections import Counter

import pytest
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import create_async_engine

from actionbus.worker import inbox_table
from faults import bank_app
from faults.bank import UNDOES, UNDONE_BY, Bank, _by_run
from worker.peer import Peer

TRANSFERS = range(12)  # transfer 3 is declined, transfer 6 dawdles, the others complete
SIGNS = {"withdraw": -1, "put-back": 1, "deposit": 1, "take-back": -1, "settle": 0, "dawdle": 0, "wake": 0}


@pytest.fixture
def told() -> dict[str, tuple[int, str]]:
    """What the callers of the transfers were told."""
    return {_run(n): (n, "FAILED" if bank_app.fails(n) else "COMPLETED") for n in TRANSFERS}


@pytest.fixture
def emitted() -> Counter[str]:
    """What committed readers see: one record of each transfer that completed."""
    return Counter(_run(n) for n in TRANSFERS if not bank_app.fails(n))


@pytest.fixture
async def bank(tmp_path) -> Bank:
    """A bank in which everything is as promised."""
    whole = Bank(url=f"sqlite+aiosqlite:///{tmp_path}/bank.db", folder=tmp_path, peer=Peer())
    engine = create_async_engine(whole.url)
    async with engine.begin() as connection:
        await connection.run_sync(inbox_table.METADATA.create_all)
    await engine.dispose()
    await whole.open()
    statements: list[TextClause] = []
    for number in TRANSFERS:
        gone = bank_app.fails(number)
        for kind in ("withdraw", "deposit", *UNDOES) if gone else ("withdraw", "deposit", "settle"):
            statements += _moving(number, kind)
        if bank_app.dawdles(number):
            continue
        _call(whole, number)
        _line(whole, "announced", number)
        _line(whole, "stamped", number)
        if gone:
            _call(whole, number, "/undo")
    await _do(whole, *statements)
    return whole


def _run(number: int) -> str:
    return f"transfer-{number}"


def _key(number: int, step: str) -> str:
    return f"{_run(number)}:0/{step}"


def _says(statement: str, **values: object) -> TextClause:
    return text(statement).bindparams(**values)


async def _do(bank: Bank, *statements: TextClause) -> None:
    engine = create_async_engine(bank.url)
    async with engine.begin() as connection:
        for statement in statements:
            done = await connection.execute(statement)
            assert done.rowcount > 0, f"{statement} changed nothing"
    await engine.dispose()


def _moving(number: int, kind: str, key: str | None = None) -> list[TextClause]:
    """A move with its balance and its inbox row, as the actions write them."""
    giver, taker = bank_app.accounts(number)
    account = taker if kind in {"deposit", "take-back"} else giver
    key = key or _key(number, UNDOES.get(kind, kind))
    by = SIGNS[kind] * bank_app.amount(number)
    move = {"key": key, "kind": kind, "run": _run(number), "account": account, "by": by}
    return [
        _says("UPDATE accounts SET balance = balance + :by WHERE account = :account", by=by, account=account),
        _says("INSERT INTO moves VALUES (:key, :kind, :run, :account, :by)", **move),
        _vouching(f"{key}/undo" if kind in UNDOES else key),
    ]


def _vouching(key: str) -> TextClause:
    columns = "key, status, command_id, created_at"
    return _says(f"INSERT INTO actionbus_inbox ({columns}) VALUES (:key, 'DONE', :key, 0)", key=key)  # noqa: S608 - a constant


def _unvouching(key: str) -> TextClause:
    return _says("DELETE FROM actionbus_inbox WHERE key = :key", key=key)


async def _unmove(bank: Bank, number: int, kind: str) -> None:
    """Take a move away as if its transaction had never been."""
    key = _key(number, UNDOES.get(kind, kind))
    account = bank_app.accounts(number)[kind in {"deposit", "take-back"}]
    by = SIGNS[kind] * bank_app.amount(number)
    await _do(
        bank,
        _says("UPDATE accounts SET balance = balance - :by WHERE account = :account", by=by, account=account),
        _says("DELETE FROM moves WHERE step_key = :key AND kind = :kind", key=key, kind=kind),
        _unvouching(f"{key}/undo" if kind in UNDOES else key),
    )


def _call(bank: Bank, number: int, behind: str = "") -> None:
    bank.peer.effects[_key(number, "insure") + behind] += 1


def _line(bank: Bank, file: str, number: int) -> None:
    line = _run(number) if file == "doubted" else _key(number, {"announced": "announce", "stamped": "stamp"}[file])
    with (bank.folder / file).open("a") as lines:
        lines.write(f"{line}\n")


def _without(bank: Bank, file: str, number: int) -> None:
    lines = (bank.folder / file).read_text().splitlines()
    kept = [line for line in lines if not line.startswith(f"{_run(number)}:")]
    assert len(kept) == len(lines) - 1
    (bank.folder / file).write_text("".join(f"{line}\n" for line in kept))


def _numbers(texts: list[str]) -> list[int]:
    """The transfers that a list of complaints is about."""
    return sorted({int(word.partition("transfer-")[2].partition(":")[0]) for text in texts for word in _runs(text)})


def _runs(text: str) -> list[str]:
    return [word for word in text.split() if word.startswith("transfer-")]


async def test_a_world_as_promised_is_clean(bank, told, emitted):
    """Everything is there once, declined transfers left nothing, and everything is counted."""
    judgement = await bank.judge(told, emitted)
    assert judgement.faults == {}, str(judgement)
    assert (judgement.steps, judgement.doubted) == (10 * 6 + 6 + 2, 0)
    # Ten did everything; the declined one did five things and undid three; the one that dawdled did and undid two.
    assert judgement.effects == 10 * 7 + 8 + 4


@pytest.mark.parametrize("kind", ["withdraw", "deposit", "settle"])
async def test_a_lost_move_is_seen(bank, told, emitted, kind):
    """A transfer completed without one of its moves."""
    await _unmove(bank, 1, kind)
    judgement = await bank.judge(told, emitted)
    assert _numbers(judgement.lost) == [1]
    assert ("uncompensated" in judgement.faults) == (kind != "settle")  # the money is not there either


async def test_what_was_lost_outside_of_the_database_is_seen(bank, told, emitted):
    """A call that was not made, and a line that was not written."""
    del bank.peer.effects[_key(1, "insure")]
    _without(bank, "announced", 2)
    _without(bank, "stamped", 4)
    judgement = await bank.judge(told, emitted)
    assert judgement.faults.keys() == {"lost"}
    emitted.subtract([_run(5)])
    assert _numbers((await bank.judge(told, +emitted)).lost) == [1, 2, 4, 5]


async def test_a_stamp_that_somebody_doubted_may_be_missing_or_there(bank, told, emitted):
    """Either way it is no fault, and it is told."""
    _without(bank, "stamped", 4)
    _line(bank, "doubted", 4)
    _line(bank, "doubted", 5)
    judgement = await bank.judge(told, emitted)
    assert (judgement.faults, judgement.doubted) == ({}, 2)


async def test_an_outcome_that_is_missing_or_another_is_seen(bank, told, emitted):
    """What was done for a run of which no caller heard, and one that ended as it should not have."""
    del told[_run(1)]
    told[_run(2)] = (2, "FAILED")
    told[_run(3)] = (3, "COMPLETED")
    judgement = await bank.judge(told, emitted)
    assert judgement.faults.keys() == {"lost"}
    assert _numbers(judgement.lost) == [1, 2, 3]


async def test_a_declined_transfer_that_never_began_is_seen(bank, told, emitted):
    """Its end is right, and yet nothing was done."""
    for kind in ("withdraw", "deposit", *UNDOES):
        await _unmove(bank, 3, kind)
    for behind in ("", "/undo"):
        del bank.peer.effects[_key(3, "insure") + behind]
    judgement = await bank.judge(told, emitted)
    assert judgement.lost == ["transfer-3 has not even withdrawn"]


@pytest.mark.parametrize("kind", ["withdraw", "deposit", "settle"])
async def test_a_doubled_move_is_seen(bank, told, emitted, kind):
    """Under the same key, where the inbox vouches only once, and under another key."""
    balance, move, _ = _moving(1, kind)
    await _do(bank, balance, move)
    await _do(bank, *_moving(2, kind, f"{_run(2)}:7/{kind}"))
    judgement = await bank.judge(told, emitted)
    assert _numbers(judgement.doubled) == [1, 2]
    assert judgement.faults.keys() == {"doubled"}


async def test_what_was_doubled_outside_of_the_database_is_seen(bank, told, emitted):
    """A peer that did the same key twice or two keys of a run, and a stamp that was put twice."""
    _call(bank, 1)
    _call(bank, 2, "#2")
    _line(bank, "stamped", 4)
    emitted.update([_run(5)])
    judgement = await bank.judge(told, emitted)
    assert judgement.faults.keys() == {"doubled"}
    assert _numbers(judgement.doubled) == [1, 2, 4, 5]


async def test_an_announcement_may_come_twice(bank, told, emitted):
    """Its action promises no more."""
    _line(bank, "announced", 1)
    assert (await bank.judge(told, emitted)).faults == {}


async def test_partial_effects_are_seen_in_both_directions(bank, told, emitted):
    """A move that no inbox row vouches for, an inbox row that vouches for nothing; of steps and of undos."""
    await _do(
        bank,
        _unvouching(_key(1, "deposit")),
        _unvouching(f"{_key(3, 'withdraw')}/undo"),
        _vouching(_key(2, "elsewhere")),
        _vouching(f"{_key(2, 'withdraw')}/undo"),
    )
    judgement = await bank.judge(told, emitted)
    assert sorted(judgement.partial) == [
        "a move of transfer-1:0/deposit without its inbox row",
        "a move of transfer-3:0/withdraw/undo without its inbox row",
        "an inbox row of transfer-2:0/elsewhere without its move",
        "an inbox row of transfer-2:0/withdraw/undo without its move",
    ]
    assert judgement.faults.keys() == {"partial"}


async def test_a_balance_that_is_not_the_sum_of_its_moves_is_seen(bank, told, emitted):
    """Half of a transaction: the balance changed, the move was not written."""
    await _do(bank, _says("UPDATE accounts SET balance = balance + 1 WHERE account = 7"))
    (complaint,) = (await bank.judge(told, emitted)).partial
    assert complaint.startswith("account 7 holds")


async def test_what_an_undo_gave_back_too_much_is_seen(bank, told, emitted):
    """Every row fits its balance, and yet the accounts together hold more than they began with."""
    await _do(
        bank,
        _says("UPDATE accounts SET balance = balance + 1 WHERE account = :giver", giver=bank_app.accounts(3)[0]),
        _says("UPDATE moves SET amount = amount + 1 WHERE run_id = :run AND kind = 'put-back'", run=_run(3)),
    )
    judgement = await bank.judge(told, emitted)
    assert judgement.uncompensated == ["all accounts together hold 50001 instead of 50000"]


@pytest.mark.parametrize("undo", [*UNDONE_BY.values(), "uninsure"])
async def test_what_was_not_undone_is_seen(bank, told, emitted, undo):
    """A declined transfer that left one of its effects."""
    if undo == "uninsure":
        del bank.peer.effects[f"{_key(3, 'insure')}/undo"]
    else:
        await _unmove(bank, 3, undo)
    judgement = await bank.judge(told, emitted)
    assert judgement.faults.keys() == {"uncompensated"}
    assert _numbers(judgement.uncompensated) == [3]


async def test_what_was_undone_twice_or_went_on_is_seen(bank, told, emitted):
    """An undo under another key, and the last step of a transfer that was declined."""
    await _do(bank, *_moving(3, "put-back", _key(3, "elsewhere")), *_moving(3, "settle"))
    judgement = await bank.judge(told, emitted)
    assert sorted(text.partition("}: ")[2] for text in judgement.uncompensated if _numbers([text]) == [3]) == [
        "it failed, and left ['settle']",
        "withdraw is not undone once by put-back",
    ]


@pytest.mark.parametrize("left", ["emit", "dawdle", "wake"])
async def test_what_a_failed_transfer_left_is_seen(bank, told, emitted, left):
    """A record that was emitted, a step that was out of time, and the undo of what never happened."""
    if left == "emit":
        emitted.update([_run(6)])
    else:
        step = _key(6, "dawdle")
        await _do(bank, *_moving(6, left, step), *([_vouching(f"{step}/undo")] if left == "wake" else []))
    judgement = await bank.judge(told, emitted)
    (complaint,) = judgement.uncompensated
    assert complaint.endswith(f"it failed, and left ['{left}']")


async def test_what_was_undone_although_it_completed_is_seen(bank, told, emitted):
    """Nobody declined it."""
    _call(bank, 1, "/undo")
    await _do(bank, *_moving(2, "take-back"))
    judgement = await bank.judge(told, emitted)
    assert _numbers(judgement.lost) == [1, 2]


def test_undos_are_told_apart_by_their_keys():
    """The keys of a run's calls are counted as what they are."""
    calls = Counter({"r:0/insure": 1, "r:0/insure/undo": 2})
    assert _by_run([], {"insure": calls})["r"] == {"insure": 1, "uninsure": 2}


async def test_what_nobody_knows_any_more_is_judged_by_itself(bank, told, emitted) -> None:
    """Half of a transfer that Kafka has forgotten is no loss and no debt; half of one that it knows is both."""
    await _do(bank, *_moving(50, "withdraw"))
    assert (await bank.judge(told, emitted)).faults
    assert not (await bank.judge(told, emitted, {"transfer-50:0"})).faults
    await _do(bank, *_moving(50, "withdraw", "transfer-50:0/again")[:2])
    assert (await bank.judge(told, emitted, {"transfer-50:0"})).partial
