"""The oracle of the fault tests sees what it is there to see: each kind of damage, made by hand, is reported as such."""

import sqlite3
from contextlib import closing

import pytest
from sqlalchemy import create_engine

from actionbus.worker import inbox_table
from integration.ledger_app import declined
from integration.oracle import Ledger

ORDERS = range(12)  # order 3 is declined, the others complete


@pytest.fixture
def told() -> dict[str, tuple[int, str]]:
    """What the callers of the orders were told."""
    return {f"order-{n}": (n, "FAILED" if declined(n) else "COMPLETED") for n in ORDERS}


@pytest.fixture
def whole(ledger: Ledger) -> Ledger:
    """A ledger in which everything is as promised."""
    engine = create_engine(ledger.url)
    inbox_table.METADATA.create_all(engine)
    engine.dispose()
    for number in ORDERS:
        kinds = ("reserve", "release") if declined(number) else ("reserve", "charge", "ship")
        for kind in kinds:
            step = {"release": "reserve"}.get(kind, kind)
            _book(ledger, f"order-{number}:0/{step}", kind, number)
            _vouch(ledger, f"order-{number}:0/{step}" + ("/undo" if kind == "release" else ""))
        if not declined(number):
            _notice(ledger, f"order-{number}:0+notify")
    return ledger


def _do(ledger: Ledger, statement: str, *values: object) -> int:
    with closing(sqlite3.connect(ledger.path)) as connection, connection:
        return connection.execute(statement, values).rowcount


def _book(ledger: Ledger, key: str, kind: str, number: int) -> None:
    _do(ledger, "INSERT INTO entries VALUES (?, ?, ?, ?, 1)", key, kind, f"order-{number}", number)


def _vouch(ledger: Ledger, key: str) -> None:
    _do(ledger, "INSERT INTO actionbus_inbox (key, status, command_id, created_at) VALUES (?, 'DONE', ?, 0)", key, key)


def _unbook(ledger: Ledger, key: str) -> None:
    assert _do(ledger, "DELETE FROM entries WHERE step_key = ?", key) == 1
    assert _do(ledger, "DELETE FROM actionbus_inbox WHERE key = ?", key) == 1


def _notice(ledger: Ledger, name: str) -> None:
    (ledger.notices / name).write_text("told")


def test_a_world_as_promised_is_clean(whole: Ledger, told) -> None:
    """Where every effect is there once and every declined order left nothing, nothing is reported."""
    judgement = whole.judge(told)
    assert judgement.clean, str(judgement)


def test_lost_effects_are_seen(whole: Ledger, told) -> None:
    """An effect that is not there, a notice that was not given, an order that ended otherwise or without outcome."""
    _unbook(whole, "order-1:0/ship")
    (whole.notices / "order-2:0+notify").unlink()
    told["order-4"] = (4, "FAILED")
    del told["order-5"]
    judgement = whole.judge(told)
    assert {text.split()[0] for text in judgement.lost} == {"order-1", "order-2", "order-4", "order-5"}
    assert judgement.kinds == {"lost"}


def test_doubled_effects_are_seen(whole: Ledger, told) -> None:
    """A second effect under the same key, under another key, and a notice under another key."""
    _book(whole, "order-1:0/ship", "ship", 1)
    _book(whole, "order-2:5/charge", "charge", 2)
    _vouch(whole, "order-2:5/charge")
    _notice(whole, "order-4:9+notify")
    judgement = whole.judge(told)
    assert {text.split(":")[0].split()[0] for text in judgement.doubled} == {"order-1", "order-2", "order-4"}
    assert judgement.kinds == {"doubled"}


def test_partial_effects_are_seen_in_both_directions(whole: Ledger, told) -> None:
    """A row that no inbox row vouches for, and an inbox row that vouches for nothing, of steps and of undos."""
    _do(whole, "DELETE FROM actionbus_inbox WHERE key IN ('order-1:0/charge', 'order-3:0/reserve/undo')")
    _vouch(whole, "order-2:0/elsewhere")
    _vouch(whole, "order-3:0/charge/undo")
    judgement = whole.judge(told)
    assert sorted(judgement.partial) == [
        "a row of order-1:0/charge without its inbox row",
        "a row of order-3:0/reserve/undo without its inbox row",
        "an inbox row of order-2:0/elsewhere without its row",
        "an inbox row of order-3:0/charge/undo without its row",
    ]
    assert judgement.kinds == {"partial"}


@pytest.mark.parametrize("damage", ["left", "undone twice", "charged", "refunded", "shipped"])
def test_uncompensated_effects_are_seen(whole: Ledger, told, damage: str) -> None:
    """A declined order that left something, that was undone twice or for nothing, or went on."""
    match damage:
        case "left":
            _do(whole, "DELETE FROM entries WHERE kind = 'release'")
            _do(whole, "DELETE FROM actionbus_inbox WHERE key LIKE '%/undo'")
        case "undone twice":
            _book(whole, "order-3:5/reserve", "release", 3)
            _vouch(whole, "order-3:5/reserve/undo")
        case "charged":
            _book(whole, "order-3:0/charge", "charge", 3)
            _vouch(whole, "order-3:0/charge")
        case "refunded":
            _book(whole, "order-3:0/charge", "refund", 3)
            _vouch(whole, "order-3:0/charge/undo")
        case "shipped":
            _book(whole, "order-3:0/ship", "ship", 3)
            _vouch(whole, "order-3:0/ship")
    judgement = whole.judge(told)
    assert [text.split()[0] for text in judgement.uncompensated] == ["order-3"]
    assert judgement.kinds == {"uncompensated"}
