"""What the steps of an order do: stock in a database, payment and carriers over HTTP, mail.

Every action that acts outside the database may run again after a crash, and says so to its partner with the step key.
Every undo names the order, and is right also where the partner never heard of it: then it closes the order there.

Out of the box, whatever would leave the house is a file below ``.actionbus/orders``, and everybody agrees to
everything. Real servers are named by the environment:

- ``ORDER_PARTNERS``: the address of the payment provider and the carriers, see ``order_world/partners.py``
- ``ORDER_SMTP``: ``host:port`` of a mail server that takes mail without login
- ``ACTIONBUS_STORE_DEFAULT_URL``: the database of the shop
"""

import json
import os
import smtplib
from email.message import EmailMessage
from functools import cache
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import httpx
from pydantic import BaseModel
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, delete, event, insert, select, update

from actionbus import ActionContext, ActionFailed, NonRetryable, action

SENDER = "shop@example.com"
APPROVERS = "sales@example.com"
SECONDS = 10.0  # for one answer of a server
OPENING_STOCK = {"lamp": 100, "desk": 30, "rug": 3}

TABLES = MetaData()
STOCK = Table("stock", TABLES, Column("item", String(40), primary_key=True), Column("units", Integer, nullable=False))
RESERVATIONS = Table(
    "reservations",
    TABLES,
    Column("order_id", String(40), primary_key=True),
    Column("item", String(40), nullable=False),
    Column("units", Integer, nullable=False),
)


class Parcel(BaseModel):
    """What a carrier is asked to bring."""

    order_id: str
    item: str
    units: int
    address: str


class Shipment(BaseModel):
    """What a carrier has agreed to bring."""

    carrier: str
    number: str


@event.listens_for(STOCK, "after_create")
def fill_the_shelves(_table: Table, connection: Connection, **_: object) -> None:
    """A new database begins with the opening stock."""
    connection.execute(insert(STOCK), [{"item": item, "units": units} for item, units in OPENING_STOCK.items()])


@action(id="reserve-stock", effect="transactional")
async def reserve_stock(ctx: ActionContext, order_id: str, item: str, units: int) -> None:
    """Takes the units off the shelf. Stock, reservation and the completion of the step are one commit."""
    await (await ctx.db.connection()).run_sync(TABLES.create_all)
    enough = (STOCK.c.item == item) & (STOCK.c.units >= units)
    taken = update(STOCK).where(enough).values(units=STOCK.c.units - units).returning(STOCK.c.units)
    if (await ctx.db.execute(taken)).one_or_none() is None:
        raise NonRetryable(f"there are no {units} of {item}", type="OutOfStock")
    await ctx.db.execute(insert(RESERVATIONS).values(order_id=order_id, item=item, units=units))


@action(id="release-stock", effect="transactional")
async def release_stock(ctx: ActionContext, order_id: str) -> None:
    """Takes reserve-stock back. It is called only where there is a reservation: that is what the inbox is for."""
    of_order = RESERVATIONS.c.order_id == order_id
    item, units = (await ctx.db.execute(select(RESERVATIONS.c.item, RESERVATIONS.c.units).where(of_order))).one()
    await ctx.db.execute(update(STOCK).where(STOCK.c.item == item).values(units=STOCK.c.units + units))
    await ctx.db.execute(delete(RESERVATIONS).where(of_order))


@action(id="remind-approver", timeout="30s")
def remind_approver(ctx: ActionContext, what: str) -> None:
    """Asks once more; a reminder that does not get through changes nothing."""
    mail(APPROVERS, "Reminder", what, key=ctx.step_key)


@action(id="charge-card", timeout="30s")
def charge_card(ctx: ActionContext, order_id: str, card: str, amount: int) -> str:
    """Takes the money, in cents; gives the number of the payment."""
    charge = {"order_id": order_id, "card": card, "amount": amount}
    return ask("charges", charge, key=ctx.step_key, refused="CardRefused")


@action(id="refund-card", timeout="30s")
def refund_card(ctx: ActionContext, order_id: str) -> None:
    """Takes charge-card back: the provider pays back what it took for the order, if anything, and takes no more."""
    ask("refunds", {"order_id": order_id}, key=f"{ctx.step_key}/refund", refused="RefundRefused")


@action(id="book-carrier", timeout="30s")
def book_carrier(ctx: ActionContext, carrier: str, parcel: Parcel) -> Shipment:
    """Asks a carrier to come; not every one goes everywhere."""
    booking = {"carrier": carrier, **parcel.model_dump()}
    return Shipment(carrier=carrier, number=ask("parcels", booking, key=ctx.step_key, refused="NoService"))


@action(id="recall-parcel", timeout="30s")
def recall_parcel(ctx: ActionContext, order_id: str, carrier: str) -> None:
    """Takes book-carrier back: what the carrier has of the order comes back, if anything, and it takes no more."""
    ask("recalls", {"order_id": order_id, "carrier": carrier}, key=f"{ctx.step_key}/recall", refused="RecallRefused")


@action(id="mail-invoice", timeout="30s")
def mail_invoice(ctx: ActionContext, order_id: str, email: str, amount: int) -> str:
    """Sends the invoice; gives its message id, by which mail servers know a copy."""
    return mail(email, f"Invoice {order_id}: {amount} cents", "Thank you for your order.", key=ctx.step_key)


def ask(what: str, body: dict[str, Any], *, key: str, refused: str) -> str:
    """Ask the partners for something; ``key`` is what they know a repetition by. Gives the number of what they made.

    Raises ActionFailed: of the type ``refused`` when the answer is final, Unreachable when it may be tried again.
    """
    url = os.environ.get("ORDER_PARTNERS")
    if url is None:
        return write(f"{what}-{body['order_id']}.json", json.dumps(body).encode(), key)
    try:
        answer = http().post(f"{url}/{what}", json=body, headers={"Idempotency-Key": key})
    except httpx.TransportError as error:
        raise ActionFailed("Unreachable", f"the partners do not answer: {error}") from error
    said = f"the partners say {answer.status_code} {answer.text[:200]}"
    if answer.is_client_error:
        raise NonRetryable(said, type=refused)
    if not answer.is_success:
        raise ActionFailed("Unreachable", said)
    return answer.json()["number"]


def mail(to: str, subject: str, text: str, *, key: str) -> str:
    """Hand a mail to the mail server and return its message id, which derives from ``key``.

    Raises ActionFailed: MailRefused when that is final, Unreachable when it may be tried again.
    """
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = SENDER, to, subject
    message["Message-ID"] = message_id = f"<{uuid5(NAMESPACE_URL, key)}@example.com>"
    message.set_content(text)
    server = os.environ.get("ORDER_SMTP")
    if server is None:
        write(f"{message_id.strip('<>')}.eml", bytes(message), key)
        return message_id
    host, _, port = server.rpartition(":")
    try:
        with smtplib.SMTP(host, int(port), timeout=SECONDS) as smtp:
            smtp.send_message(message, SENDER, [to])
    except smtplib.SMTPRecipientsRefused as error:
        raise refusal(*error.recipients[to]) from error
    except smtplib.SMTPResponseException as error:
        raise refusal(error.smtp_code, error.smtp_error) from error
    except OSError as error:  # smtplib's other errors are OSErrors, too
        raise ActionFailed("Unreachable", f"the mail server does not answer: {error}") from error
    return message_id


def refusal(code: int, answer: bytes | str) -> ActionFailed:
    """What a mail server's refusal means: 5yz is final (RFC 5321)."""
    said = f"the mail server says {code} {answer.decode(errors='replace') if isinstance(answer, bytes) else answer}"
    return NonRetryable(said, type="MailRefused") if code >= 500 else ActionFailed("Unreachable", said)


@cache
def http() -> httpx.Client:
    """One client for all threads: it keeps connections open."""
    return httpx.Client(timeout=SECONDS)


def write(name: str, content: bytes, key: str) -> str:
    """Stand in for a server that agrees: leave a file, and give a number."""
    file = Path(".actionbus/orders", name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    print(file)
    return str(uuid5(NAMESPACE_URL, key))
