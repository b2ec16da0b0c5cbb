"""A user signs up: a row in a database, a welcome mail, a contact in a CRM. All of it happens, or it is taken back.

Every failure has its decision beside the step. An outage is only a delay. A full mailbox gets a letter instead of a
mail. A mail server or a CRM that says no undoes the signup: the row goes, and whoever got a welcome mail gets one
apology.

Out of the box mails and contacts are files below ``.actionbus/signup``. Real servers are named by the environment:

- ``SIGNUP_SMTP``: ``host:port`` of a mail server that takes mail without login
- ``SIGNUP_CRM``: the address of the CRM; it takes ``POST /contacts`` with an ``Idempotency-Key``
- ``SIGNUP_DATA``: the folder for files, where there is no server
- ``ACTIONBUS_STORE_DEFAULT_URL``: the database of the users
"""

import json
import os
import re
import smtplib
from email.message import EmailMessage
from functools import cache
from pathlib import Path
from typing import Literal
from uuid import NAMESPACE_URL, uuid5

import httpx
from pydantic import BaseModel, Field
from sqlalchemy import Column, MetaData, String, Table, delete, insert
from sqlalchemy.exc import IntegrityError

from actionbus import ActionContext, ActionFailed, Flow, NonRetryable, Retry, RetryAfter, action, rule, workflow

SENDER = "welcome@example.com"
SECONDS = 10.0  # for one answer of a mail server or the CRM
PATIENT = Retry(attempts=None, initial="500ms", factor=2, cap="10s")
OUTAGES = [rule("Unreachable").retry(PATIENT), rule("Timeout").retry(PATIENT)]  # are waited out, however long

TABLES = MetaData()
USERS = Table(
    "users",
    TABLES,
    Column("id", String(36), primary_key=True),
    Column("email", String(254), unique=True, nullable=False),
    Column("name", String(200), nullable=False),
)
LETTERS = Table(
    "letters",
    TABLES,
    Column("user_id", String(36), primary_key=True),
    Column("email", String(254), nullable=False),
    Column("name", String(200), nullable=False),
)


class Signup(BaseModel):
    """What a run is started with; a start that does not fit is refused."""

    email: str = Field(max_length=254, pattern=r"^[^@\s]+@[^@\s.,]+(\.[^@\s.,]+)+$")
    name: str = Field(max_length=200, pattern=r"\S")


class User(BaseModel):
    """A user as the database holds it."""

    id: str
    email: str
    name: str


class Delivery(BaseModel):
    """How the welcome goes to the user: by the message id of a mail, or the user id on a letter."""

    channel: Literal["mail", "letter"]
    reference: str


class Receipt(BaseModel):
    """What a completed signup gives."""

    user_id: str
    welcome: Delivery


@action(id="create-user", description="Inserts the user row.", effect="transactional")
async def create_user(ctx: ActionContext, email: str, name: str) -> User:
    """The row and the completion of the step are one commit, so there is exactly one, whatever is killed."""
    await (await ctx.db.connection()).run_sync(TABLES.create_all)
    user = User(id=str(uuid5(NAMESPACE_URL, ctx.step_key)), email=email, name=name)
    try:
        await ctx.db.execute(insert(USERS).values(user.model_dump()))
    except IntegrityError:
        raise NonRetryable(f"{email} has signed up before", type="EmailTaken") from None
    return user


@action(id="delete-user", description="Removes the user row.", effect="transactional")
async def delete_user(ctx: ActionContext, user_id: str) -> None:
    """Takes create-user back, and a letter that was queued meanwhile."""
    await ctx.db.execute(delete(LETTERS).where(LETTERS.c.user_id == user_id))
    await ctx.db.execute(delete(USERS).where(USERS.c.id == user_id))


@action(id="send-welcome-email", description="Sends a welcome email to a new user.", timeout="30s")
def send_welcome_email(ctx: ActionContext, email: str, name: str) -> Delivery:
    """May run again after a crash: every attempt sends the same message id, by which mail servers know a copy."""
    reference = send(email, "Welcome!", f"Good to have you here, {name}.", key=ctx.step_key)
    return Delivery(channel="mail", reference=reference)


@action(id="send-apology", description="Says sorry for a welcome mail.", timeout="30s")
def send_apology(ctx: ActionContext, email: str, name: str, welcome: str | None) -> None:
    """Takes send-welcome-email back. No message id: no welcome mail is known to have gone out, so nothing is said."""
    if welcome is None:
        return
    text = f"{name}, we welcomed you too early: your account could not be opened."
    try:
        send(email, "Sorry", text, key=f"{ctx.step_key}/apology", answers=welcome)
    except NonRetryable as refused:
        ctx.log.warning("the mailbox takes no apology", reason=refused.message)


@action(id="queue-letter", description="Queues a letter on paper.", effect="transactional")
async def queue_letter(ctx: ActionContext, user: User) -> Delivery:
    """What is done where the mailbox is full."""
    await ctx.db.execute(insert(LETTERS).values(user_id=user.id, email=user.email, name=user.name))
    return Delivery(channel="letter", reference=user.id)


@action(id="update-crm", description="Tells the CRM about the user.", timeout="30s")
def update_crm(ctx: ActionContext, user: User) -> None:
    """May run again after a crash: the CRM knows the step key, and makes one contact for it."""
    add_contact({"user_id": user.id, "email": user.email, "name": user.name}, key=ctx.step_key)


@workflow(id="user-signup", version="1", description="Signs a user up: database, welcome mail, CRM.")
def user_signup(flow: Flow, signup: Signup) -> Receipt:
    """Read it from top to bottom: each step, how it is undone, and what follows when it fails."""
    user = flow.run(
        create_user(email=signup.email, name=signup.name),
        undo=lambda made: delete_user(user_id=made.id),
    )
    welcome = flow.run(
        send_welcome_email(email=user.email, name=user.name),
        undo=lambda made: send_apology(email=user.email, name=user.name, welcome=made.reference),
        on_failure=[
            *OUTAGES,
            rule("MailboxFull").fallback(queue_letter(user=user)),
            rule.any.compensate(),
        ],
    )
    flow.run(  # the last step, without an undo: where the CRM says no there is no contact, and outages are waited out
        update_crm(user=user),
        on_failure=[*OUTAGES, rule.any.compensate()],
    )
    return flow.output(Receipt, user_id=user.id, welcome=welcome)


def send(to: str, subject: str, text: str, *, key: str, answers: str | None = None) -> str:
    """Hand a mail to the mail server and return its message id, which derives from ``key``.

    Raises ActionFailed: MailboxFull or MailRejected when that is final, Unreachable when it may be tried again.
    """
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = SENDER, to, subject
    mail["Message-ID"] = message_id = f"<{uuid5(NAMESPACE_URL, key)}@example.com>"
    if answers is not None:
        mail["In-Reply-To"] = mail["References"] = answers
    mail.set_content(text)
    server = os.environ.get("SIGNUP_SMTP")
    if server is None:
        file = data("mails", f"{message_id.strip('<>')}.eml")
        file.write_bytes(bytes(mail))
        print(f"{subject} {to}: {file}")
        return message_id
    host, _, port = server.rpartition(":")
    try:
        with smtplib.SMTP(host, int(port), timeout=SECONDS) as smtp:
            smtp.send_message(mail, SENDER, [to])
    except smtplib.SMTPRecipientsRefused as error:
        raise refusal(*error.recipients[to]) from error
    except smtplib.SMTPResponseException as error:
        raise refusal(error.smtp_code, error.smtp_error) from error
    except smtplib.SMTPNotSupportedError as error:
        raise NonRetryable(str(error), type="MailRejected") from error
    except OSError as error:  # smtplib's other errors are OSErrors, too
        raise ActionFailed("Unreachable", f"the mail server does not answer: {error}") from error
    return message_id


def refusal(code: int, answer: bytes | str) -> ActionFailed:
    """What a mail server's refusal means. RFC 5321 and 3463: 552 and x.2.2 are a full mailbox, 5yz is final."""
    text = answer.decode(errors="replace") if isinstance(answer, bytes) else answer
    said = f"the mail server says {code} {text}"
    if code == 552 or re.match(r"[45]\.2\.2\b", text):
        return NonRetryable(said, type="MailboxFull")
    return NonRetryable(said, type="MailRejected") if code >= 500 else ActionFailed("Unreachable", said)


def add_contact(contact: dict[str, str], *, key: str) -> None:
    """Tell the CRM about a contact; ``key`` is what it knows a repetition by.

    Raises ActionFailed: CrmRejected when the answer is final, Unreachable when it may be tried again.
    """
    url = os.environ.get("SIGNUP_CRM")
    if url is None:
        data("contacts", f"{contact['user_id']}.json").write_text(json.dumps(contact))
        return
    try:
        answer = http().post(f"{url.rstrip('/')}/contacts", json=contact, headers={"Idempotency-Key": key})
    except httpx.TransportError as error:
        raise ActionFailed("Unreachable", f"the CRM does not answer: {error}") from error
    said = f"the CRM says {answer.status_code} {answer.text[:200]}"
    if answer.status_code == 429:
        wait = answer.headers.get("retry-after", "")
        raise RetryAfter(int(wait) if wait.isdecimal() else 1, said, type="Unreachable")
    if answer.is_client_error:
        raise NonRetryable(said, type="CrmRejected")
    if not answer.is_success:
        raise ActionFailed("Unreachable", said)


@cache
def http() -> httpx.Client:
    """One client for all threads: it keeps connections open."""
    return httpx.Client(timeout=SECONDS)


def data(*path: str) -> Path:
    """A file of the folder that stands in for servers."""
    file = Path(os.environ.get("SIGNUP_DATA", ".actionbus/signup")).joinpath(*path)
    file.parent.mkdir(parents=True, exist_ok=True)
    return file
