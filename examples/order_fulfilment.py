"""An order, from the shelf to the door: stock, approval, payment, a change of mind, shipping, invoice.

Whatever fails for good, everything before it is undone, last step first: the parcel comes back, the money goes back,
the goods go back on the shelf. A server that is down is only a delay.

    actionbus dev examples/order_fulfilment.py
    actionbus runs start fulfil-order '{"id": "o-1", "email": "ada@example.com", "item": "desk", "units": 3,
        "price": 20000, "card": "4242", "address": "1 Long Street"}' --id o-1
    actionbus runs fill o-1 choose.choose-case-1.approval '{"granted": true, "reason": ""}'
    actionbus runs update o-1 change '{"cancel": false, "address": "2 Short Street"}'

``python examples/order_demo.py`` sends dozens of orders through it, with servers that have moods, while processes are
killed. What the steps do stands in ``order_actions.py``.
"""

import os

from pydantic import BaseModel, Field

from actionbus import Flow, Retry, cel, rule, workflow
from order_actions import (
    Parcel,
    Shipment,
    book_carrier,
    charge_card,
    mail_invoice,
    recall_parcel,
    refund_card,
    release_stock,
    remind_approver,
    reserve_stock,
)

APPROVAL_LIMIT = 50_000  # cents; what costs more, a person looks at
CHANGE_WINDOW = os.environ.get("ORDER_CHANGE_WINDOW", "30s")  # how long a customer may think again after paying
PATIENT = Retry(attempts=None, initial="500ms", factor=2, cap="5s")
OUTAGES = [rule("Unreachable").retry(PATIENT), rule("Timeout").retry(PATIENT)]  # are waited out, however long


class Order(BaseModel):
    """What a run is started with."""

    id: str = Field(max_length=40, pattern=r"^[\w-]+$")
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    item: str
    units: int = Field(ge=1)
    price: int = Field(ge=0, description="of one unit, in cents")
    card: str
    address: str = Field(min_length=1)


class Approval(BaseModel):
    """What a person says about a large order."""

    granted: bool
    reason: str = ""


class Change(BaseModel):
    """A customer's second thought: the order is cancelled, or goes to another address."""

    cancel: bool = False
    address: str = ""


class Receipt(BaseModel):
    """What a completed order gives."""

    amount: int
    payment: str
    shipment: Shipment
    invoice: str


@workflow(id="ship-order", version="1", description="Finds a carrier that goes there.")
def ship_order(flow: Flow, parcel: Parcel) -> Shipment:
    """A run of its own, so that shipping can be looked at, paused or repaired without the order around it."""
    return flow.attempt(
        lambda: book(flow, "express", parcel),
        on_failure=[rule("NoService").handle(lambda _: book(flow, "post", parcel))],
    )


@workflow(id="fulfil-order", version="1", description="Reserves, charges, ships and invoices an order.")
def fulfil_order(flow: Flow, order: Order) -> Receipt:
    """Read it from top to bottom: each step, how it is undone, and what follows when it fails."""
    amount = flow.compute("units * price", int, units=order.units, price=order.price)
    flow.run(
        reserve_stock(order_id=order.id, item=order.item, units=order.units),
        undo=lambda _: release_stock(order_id=order.id),
    )
    flow.choose((cel("amount > limit", amount=amount, limit=APPROVAL_LIMIT), lambda: approve(flow, order, amount)))
    payment = flow.run(
        charge_card(order_id=order.id, card=order.card, amount=amount),
        undo=lambda _: refund_card(order_id=order.id),
        on_failure=OUTAGES,
    )
    flow.show("state", "paid")
    change = second_thoughts(flow, order)
    shipment = flow.child(
        ship_order,
        flow.output(Parcel, order_id=order.id, item=order.item, units=order.units, address=change.address),
        undo=lambda made: recall_parcel(order_id=order.id, carrier=made.carrier),
    )
    flow.show("state", "shipped")
    invoice = flow.run(  # the last step, without an undo: a mail that was refused did not go out
        mail_invoice(order_id=order.id, email=order.email, amount=amount),
        on_failure=OUTAGES,
    )
    return flow.output(Receipt, amount=amount, payment=payment, shipment=shipment, invoice=invoice)


def book(flow: Flow, carrier: str, parcel: Parcel) -> Shipment:
    """A part of the workflow: one carrier is asked."""
    return flow.run(
        book_carrier(carrier=carrier, parcel=parcel),
        id=f"book-{carrier}",
        undo=lambda _: recall_parcel(order_id=parcel.order_id, carrier=carrier),
        on_failure=OUTAGES,
    )


def approve(flow: Flow, order: Order, amount: int) -> None:
    """A part of the workflow: a person decides, and is reminded twice; no answer is a no."""
    approval = flow.wait_for_person(
        cel("'Approve order ' + id + ' over ' + string(amount) + ' cents'", id=order.id, amount=amount),
        Approval,
        id="approval",
        assignee="sales",
        remind_after=["4h", "1d"],
        on_reminder=lambda task: flow.run(remind_approver(what=task.title)),
        accept=lambda form: cel("form.granted || form.reason != ''", form=form),
        timeout="3d",
        on_timeout=lambda: flow.output(Approval, granted=False, reason="nobody answered"),
    )
    flow.choose((cel("!granted", granted=approval.granted), lambda: flow.fail("NotApproved", approval.reason)))


def second_thoughts(flow: Flow, order: Order) -> Change:
    """A part of the workflow: for a while the customer may cancel or name another address, and hears that it counts."""
    change = flow.wait_for(
        "change",
        Change,
        accept=lambda change: cel("change.cancel || change.address != ''", change=change),
        answer=lambda change: {"cancelled": change.cancel, "address": change.address},
        timeout=CHANGE_WINDOW,
        on_timeout=lambda: flow.output(Change, cancel=False, address=order.address),
    )
    flow.choose((cel("cancel", cancel=change.cancel), lambda: flow.fail("Cancelled", "by the customer")))
    return change
