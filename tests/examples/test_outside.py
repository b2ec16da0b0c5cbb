"""The mail server and the CRM of the demo have the moods that the demo needs."""

import asyncio
import mailbox
import smtplib
import sqlite3
import threading
from contextlib import closing
from email.message import EmailMessage

import crm
import httpx
import judge
import pytest
from aiosmtpd.smtp import SMTP


@pytest.fixture
def database(tmp_path):
    """Where a server keeps what it took."""
    return tmp_path / "kept.sqlite"


@pytest.fixture
def send(database):
    """Sends a mail to a running mail server; gives the code of the reply, or 0 when it hung up."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(_listen(loop, database), loop).result(30)
    port = server.sockets[0].getsockname()[1]

    def one(recipient, *, message_id="<m1@test>", subject="Welcome"):
        mail = EmailMessage()
        mail["Message-ID"], mail["Subject"], mail["To"] = message_id, subject, recipient
        try:
            with smtplib.SMTP("127.0.0.1", port, timeout=30) as client:
                client.sendmail("us@example.com", [recipient], mail.as_bytes())
        except smtplib.SMTPRecipientsRefused as refused:
            return refused.recipients[recipient][0]
        except smtplib.SMTPServerDisconnected:
            return 0
        except smtplib.SMTPResponseException as refused:
            return refused.smtp_code
        return 250

    yield one
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


async def _listen(loop, database):
    box = mailbox.Mailbox(database, greylist_seconds=0.05)
    return await loop.create_server(lambda: SMTP(box, loop=loop), "127.0.0.1", 0)


def kept(database):
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("SELECT recipient, repeats FROM mails").fetchall()


def test_a_mail_is_kept_and_its_repeat_dropped(send, database):
    """The same Message-ID is kept once, and each repeat is counted and answered like the first."""
    assert [send("ada@example.com"), send("ada@example.com")] == [250, 250]
    assert kept(database) == [("ada@example.com", 1)]


def test_a_greylisted_mail_comes_in_later(send, database):
    """A greylisted recipient is refused for a while, and takes the mail after it."""
    replies = [send(f"ada@{mailbox.GREYLIST}")]
    while replies[-1] == 451:
        replies.append(send(f"ada@{mailbox.GREYLIST}"))
    assert replies[0] == 451
    assert kept(database) == [(f"ada@{mailbox.GREYLIST}", 0)]


@pytest.mark.parametrize(("domain", "code"), [(mailbox.FULL, 552), (mailbox.GONE, 550)])
def test_some_recipients_never_take_mail(send, database, domain, code):
    """A full mailbox and an unknown user are refused each time, and nothing is kept."""
    assert [send(f"ada@{domain}"), send(f"ada@{domain}")] == [code, code]
    assert kept(database) == []


def test_a_lost_reply_leaves_the_mail_there(send, database):
    """Where the reply is lost the mail was taken: whoever sends it again has it dropped."""
    assert [send(f"ada@{mailbox.LOST_REPLY}"), send(f"ada@{mailbox.LOST_REPLY}")] == [0, 250]
    assert kept(database) == [(f"ada@{mailbox.LOST_REPLY}", 1)]


@pytest.fixture
def call(database):
    """Calls a running CRM; gives the status."""
    server = crm.Server(0, crm.Contacts(database))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    base = f"http://127.0.0.1:{server.server_address[1]}"

    def one(path, key="k1", **body):
        return httpx.post(base + path, json=body, headers={"Idempotency-Key": key} if key else {}).status_code

    yield one
    server.shutdown()
    thread.join()
    server.server_close()


def contacts_of(database):
    nothing = database.with_name("nothing.sqlite")
    return judge.look(nothing, nothing, database)


def test_the_crm_is_down_at_first(call, database):
    """Before it is opened the CRM answers 503 and keeps nothing; after it, the same contact is made."""
    assert [call("/contacts", email="a@example.com"), call("/open"), call("/contacts", email="a@example.com")] == [
        503,
        200,
        201,
    ]
    assert contacts_of(database).contacts == {"a@example.com": 1}


def test_a_key_makes_one_contact(call, database):
    """The same key is answered alike and makes one contact; the repeat is counted."""
    call("/open")
    assert [call("/contacts", email="a@example.com"), call("/contacts", email="a@example.com")] == [201, 201]
    world = contacts_of(database)
    assert (world.contacts, world.repeated_contacts) == ({"a@example.com": 1}, 1)


def test_the_crm_refuses_for_ever(call, database):
    """A blocked domain, a missing key and a missing address are refused with the caller to blame."""
    call("/open")
    refused = [
        call("/contacts", email=f"a@{crm.BLOCKED}"),
        call("/contacts", key=None, email="a@example.com"),
        call("/contacts"),
        call("/elsewhere"),
    ]
    assert refused == [422, 400, 400, 404]
    assert contacts_of(database).contacts == {}
