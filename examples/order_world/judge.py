"""The judge of the orders: it reads the outside world and says what is wrong with it.

The world is the shop's database, the partners' file and the mail server's file; none of them knows of actionbus.
"""

import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COMPLETED = "completed"
REMINDER = "Reminder"
INVOICE = re.compile(r"Invoice (\S+): (\d+) cents")


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a customer ordered, and was told in the end: `ending` is completed, or the type of the error."""

    id: str
    item: str
    units: int
    amount: int
    address: str
    ending: str
    expected: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class World:
    """What is out there. Money is in cents, goods in units; whatever has an order is counted by it."""

    stock: Counter[str] = field(default_factory=Counter)  # by item
    reserved: Counter[str] = field(default_factory=Counter)
    charges: Counter[str] = field(default_factory=Counter)  # how many
    charged: Counter[str] = field(default_factory=Counter)  # how much
    refunded: frozenset[str] = frozenset()
    parcels: Counter[str] = field(default_factory=Counter)  # those that were not recalled
    shipped: Counter[str] = field(default_factory=Counter)  # units in them
    addresses: dict[str, str] = field(default_factory=dict)  # where they go
    invoices: Counter[str] = field(default_factory=Counter)
    invoiced: Counter[str] = field(default_factory=Counter)
    reminders: int = 0
    repeats: int = 0  # what came again and was dropped
    refusals: Counter[str] = field(default_factory=Counter)  # by status

    @property
    def kept(self) -> Counter[str]:
        """The money that was taken and not given back."""
        return Counter({order: cents for order, cents in self.charged.items() if order not in self.refunded})

    @property
    def orders(self) -> set[str]:
        """Every order that left a trace."""
        return {*self.reserved, *self.charges, *self.refunded, *self.parcels, *self.invoices}


def look(shop: Path, partners: Path, mailbox: Path) -> World:
    """Read the world as it is now."""
    kept = "NOT EXISTS (SELECT 1 FROM recalls r WHERE r.order_id = p.order_id AND r.carrier = p.carrier)"
    parcels = _rows(partners, f"SELECT order_id, units, address FROM parcels p WHERE {kept}")  # noqa: S608 - a text from here
    charges = _rows(partners, "SELECT order_id, amount FROM charges")
    subjects = [subject for (subject,) in _rows(mailbox, "SELECT subject FROM mails")]
    invoices = [found.groups() for found in map(INVOICE.match, subjects) if found is not None]
    repeats = [
        *(_rows(partners, f"SELECT repeats FROM {each}") for each in ("charges", "refunds", "parcels", "recalls")),  # noqa: S608 - names from here
        _rows(mailbox, "SELECT repeats FROM mails"),
    ]
    return World(
        stock=_summed(_rows(shop, "SELECT item, units FROM stock")),
        reserved=_summed(_rows(shop, "SELECT order_id, units FROM reservations")),
        charges=Counter(order for order, _ in charges),
        charged=_summed(charges),
        refunded=frozenset(order for (order,) in _rows(partners, "SELECT order_id FROM refunds")),
        parcels=Counter(order for order, *_ in parcels),
        shipped=_summed((order, units) for order, units, _ in parcels),
        addresses={order: address for order, _, address in parcels},
        invoices=Counter(order for order, _ in invoices),
        invoiced=_summed((order, int(amount)) for order, amount in invoices),
        reminders=sum(subject.startswith(REMINDER) for subject in subjects),
        repeats=sum(count for rows in repeats for (count,) in rows),
        refusals=Counter(str(status) for (status,) in _rows(partners, "SELECT status FROM refusals")),
    )


def violations(orders: Iterable[Order], world: World, opening: Mapping[str, int]) -> Iterator[str]:
    """Every way in which the world is not what the customers were told; nothing when all is well.

    ``opening`` is the stock before the first order.
    """
    known = {order.id: order for order in orders}
    for stranger in sorted(world.orders - known.keys()):
        yield f"{stranger} left a trace and was never ordered"
    for order in known.values():
        if order.ending not in order.expected:
            yield f"{order.id} ended as {order.ending}, not as {' or '.join(sorted(order.expected))}"
        yield from _wrongs(order, world)
    for item, units in opening.items():
        gone = sum(world.shipped[order.id] for order in known.values() if order.item == item)
        if units - world.stock[item] != gone:
            yield f"{item}: {units - world.stock[item]} taken from stock, {gone} shipped"
    if world.kept.total() != world.invoiced.total():
        yield f"{world.kept.total()} cents taken, {world.invoiced.total()} invoiced"


def _wrongs(order: Order, world: World) -> Iterator[str]:
    whole = order.ending == COMPLETED
    counts = {
        "units reserved": (world.reserved, order.units),
        "units shipped": (world.shipped, order.units),
        "parcels": (world.parcels, 1),
        "cents kept": (world.kept, order.amount),
        "cents invoiced": (world.invoiced, order.amount),
        "invoices": (world.invoices, 1),
    }
    for what, (found, due) in counts.items():
        if found[order.id] != due * whole:
            yield f"{order.id} is {order.ending}: {found[order.id]} {what}, not {due * whole}"
    if world.charges[order.id] > 1:
        yield f"{order.id} was charged {world.charges[order.id]} times"
    if whole and world.addresses.get(order.id) != order.address:
        yield f"{order.id} goes to {world.addresses.get(order.id)}, not to {order.address}"


def _summed(rows: Iterable[tuple[str, int]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for key, number in rows:
        found[key] += number
    return found


def _rows(database: Path, query: str) -> list[Any]:
    """What a query finds; nothing where the database or its table is not there yet."""
    if not database.is_file():
        return []
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        try:
            return connection.execute(query).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise
            return []
