"""The judge of the orders finds what is wrong with the world, and nothing else."""

from collections import Counter
from dataclasses import replace

import pytest

from order_world import judge

ORDER = judge.Order(
    id="o-1",
    item="lamp",
    units=2,
    amount=4_000,
    address="1 Long Street",
    ending=judge.COMPLETED,
    expected=frozenset({judge.COMPLETED}),
)
FAILED = replace(ORDER, ending="NoService", expected=frozenset({"NoService"}))


def one(number):
    return Counter({"o-1": number})


WHOLE = judge.World(
    stock=Counter(lamp=98),
    reserved=one(2),
    charges=one(1),
    charged=one(4_000),
    parcels=one(1),
    shipped=one(2),
    addresses={"o-1": "1 Long Street"},
    invoices=one(1),
    invoiced=one(4_000),
)
UNDONE = judge.World(stock=Counter(lamp=100), charges=one(1), charged=one(4_000), refunded=frozenset({"o-1"}))


def found(order, world):
    return list(judge.violations([order], world, {"lamp": 100}))


@pytest.mark.parametrize(
    ("order", "world"), [(ORDER, WHOLE), (FAILED, UNDONE), (FAILED, judge.World(stock=Counter(lamp=100)))]
)
def test_a_world_that_keeps_the_promises(order, world):
    """Whole orders and wholly undone ones are no violation."""
    assert found(order, world) == []


@pytest.mark.parametrize(
    ("order", "world", "words"),
    [
        (ORDER, replace(WHOLE, stock=Counter(lamp=97)), "3 taken from stock, 2 shipped"),
        (ORDER, replace(WHOLE, reserved=one(0)), "0 units reserved"),
        (ORDER, replace(WHOLE, charges=one(2), charged=one(8_000)), "charged 2 times"),
        (ORDER, replace(WHOLE, charges=one(0), charged=one(0)), "0 cents kept"),
        (ORDER, replace(WHOLE, refunded=frozenset({"o-1"})), "0 cents kept"),
        (ORDER, replace(WHOLE, parcels=one(2), shipped=one(4)), "2 parcels"),
        (ORDER, replace(WHOLE, addresses={"o-1": "elsewhere"}), "goes to elsewhere"),
        (ORDER, replace(WHOLE, invoices=one(2), invoiced=one(8_000)), "2 invoices"),
        (ORDER, replace(WHOLE, invoiced=one(40)), "4000 cents taken, 40 invoiced"),
        (FAILED, replace(UNDONE, refunded=frozenset()), "4000 cents kept, not 0"),
        (FAILED, replace(UNDONE, stock=Counter(lamp=98)), "2 taken from stock, 0 shipped"),
        (FAILED, replace(UNDONE, parcels=one(1)), "1 parcels, not 0"),
        (replace(ORDER, ending="NoService"), UNDONE, "not as completed"),
    ],
)
def test_a_broken_promise_is_named(order, world, words):
    """Everything that is missing, doubled or left behind is a violation that says what and how many."""
    assert any(words in each for each in found(order, world)), found(order, world)


def test_a_trace_of_nobody_is_named():
    """An order that nobody made must not be out there."""
    assert "o-1 left a trace and was never ordered" in list(judge.violations([], WHOLE, {}))
