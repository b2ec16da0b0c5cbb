"""The signup example, run without Kafka against a real database, a real mail server and a real CRM over HTTP."""

import asyncio
import json
import mailbox
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import crm
import judge
import pytest
from aiosmtpd.smtp import SMTP

from actionbus import ActionFailed, PayloadRefused
from actionbus.contracts.run import RunStatus
from actionbus.sdk import registry
from actionbus.testing import FakeClock, answers, run_workflow

EXAMPLES = Path(__file__).parents[2] / "examples"
APP = registry.load(str(EXAMPLES / "signup.py"))
SIGNUP = APP.workflows["user-signup", "1"]


@contextmanager
def mail_server(database):
    """The demo's mail server, in a thread; gives its port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def listen():
        box = mailbox.Mailbox(database, greylist_seconds=0.05)
        return await loop.create_server(lambda: SMTP(box, enable_SMTPUTF8=True, loop=loop), "127.0.0.1", 0)

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(30)
    yield server.sockets[0].getsockname()[1]
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


@contextmanager
def crm_server(database):
    """The demo's CRM, in a thread, up from the beginning; gives its port."""
    server = crm.Server(0, crm.Contacts(database, is_open=True))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


class Outside:
    """The world around the signups, and the judge's look at it."""

    def __init__(self, folder):
        self.users, self.mailbox, self.crm = (folder / f"{name}.sqlite" for name in ("users", "mailbox", "crm"))
        self.signups = []

    def sign_up(self, email, **options):
        """Run one signup to its end."""
        run_id = f"signup-{len(self.signups)}"
        stores = {"default": f"sqlite:///{self.users}"}
        run = run_workflow(SIGNUP, {"email": email, "name": "Ada"}, stores=stores, run_id=run_id, **options)
        self.signups.append(judge.Signup(run_id=run_id, email=email, ending=run.status.lower()))
        return run

    def look(self):
        """The world, if nothing is wrong with it."""
        world = judge.look(self.users, self.mailbox, self.crm)
        assert list(judge.violations(self.signups, world)) == []
        return world


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """Servers on loopback ports, named by the environment as in production."""
    world = Outside(tmp_path)
    with mail_server(world.mailbox) as mail_port, crm_server(world.crm) as crm_port:
        monkeypatch.setenv("SIGNUP_SMTP", f"127.0.0.1:{mail_port}")
        monkeypatch.setenv("SIGNUP_CRM", f"http://127.0.0.1:{crm_port}/")
        yield world


def test_a_signup_leaves_one_row_one_mail_and_one_contact(outside):
    """Everything happened, and the receipt names it."""
    run = outside.sign_up("ada@example.com")
    assert run.result.welcome.channel == "mail"
    world = outside.look()
    assert (world.users, world.welcomes, world.contacts) == ({"ada@example.com": 1},) * 3
    assert not world.apologies


def test_a_full_mailbox_gets_a_letter(outside):
    """The fallback stands in for the mail, and the signup goes on."""
    run = outside.sign_up("ada@full.example")
    assert (run.status, run.result.welcome.channel) == (RunStatus.COMPLETED, "letter")
    assert [each.decision for each in run.decisions] == ["fallback"]
    world = outside.look()
    assert (world.letters.total(), world.welcomes.total(), world.contacts.total()) == (1, 0, 1)


def test_a_contact_that_the_crm_rejects_undoes_the_signup(outside):
    """The row goes, the welcome mail gets one apology, last step first."""
    run = outside.sign_up("ada@blocked.example")
    assert (run.status, run.error.type) == (RunStatus.FAILED, "CrmRejected")
    assert [each.action for each in run.calls if each.undo] == ["send-apology", "delete-user"]
    world = outside.look()
    assert (world.users.total(), world.welcomes.total(), world.apologies.total()) == (0, 1, 1)


def test_a_rejected_contact_whose_mailbox_is_full_leaves_nothing(outside, monkeypatch):
    """The letter goes with the row, and nobody says sorry for a mail that never went out."""
    monkeypatch.setattr(crm, "BLOCKED", "full.example")
    run = outside.sign_up("ada@full.example")
    assert (run.status, run.error.type) == (RunStatus.FAILED, "CrmRejected")
    assert outside.look().addresses == set()


def test_an_address_that_does_not_exist_undoes_the_signup_without_a_word(outside):
    """A mail that was refused needs no apology."""
    run = outside.sign_up("ada@gone.example")
    assert (run.status, run.error.type) == (RunStatus.FAILED, "MailRejected")
    assert outside.look().addresses == set()


def test_a_lost_reply_costs_a_repeat_and_no_second_mail(outside):
    """The mail server took the mail and hung up: the next attempt sends the same message id."""
    run = outside.sign_up("ada@lostreply.example")
    assert run.status is RunStatus.COMPLETED
    world = outside.look()
    assert (world.welcomes.total(), world.repeated_mails) == (1, 1)


def test_a_crm_that_is_down_for_an_hour_is_only_a_delay(outside):
    """An outage has no limit of attempts; the signup waits and completes."""
    unreachable = ActionFailed("Unreachable", "the CRM does not answer")
    clock = FakeClock()
    run = outside.sign_up("ada@example.com", actions={"update-crm": answers(*[unreachable] * 400, None)}, clock=clock)
    assert run.status is RunStatus.COMPLETED
    assert clock.elapsed_ms > 3_600_000
    assert len(run.called("update-crm")) == 401


def test_a_mistake_in_an_action_is_not_tried_for_ever(outside):
    """What is no outage is tried five times, then everything is undone."""
    run = outside.sign_up("ada@example.com", actions={"update-crm": answers(KeyError("typo"))})
    assert (run.status, run.error.type) == (RunStatus.FAILED, "KeyError")
    assert len(run.called("update-crm")) == 5
    outside.look()


def test_a_taken_address_fails_and_leaves_the_first_user_alone(outside):
    """The second signup is undone, the first one stands."""
    outside.sign_up("ada@example.com")
    run = outside.sign_up("ada@example.com")
    assert (run.status, run.error.type) == (RunStatus.FAILED, "EmailTaken")
    assert outside.look().users == {"ada@example.com": 1}


@pytest.mark.parametrize(
    ("email", "name"),
    [("", "Ada"), ("ada", "Ada"), ("ada@", "Ada"), ("ada@example.", "Ada"), ("a\n@b.c", "Ada"), ("a@b.c", "   ")],
)
def test_a_signup_that_makes_no_sense_is_refused_before_anything_happens(email, name):
    """The input's schema says what an address and a name look like, to every client in every language."""
    with pytest.raises(PayloadRefused):
        SIGNUP.render_input({"email": email, "name": name})
    checked = SIGNUP.graph.input_schema["properties"]
    assert "pattern" in checked["email"]
    assert "pattern" in checked["name"]


def test_an_address_in_any_script_gets_its_mail(outside):
    """A mail server that speaks SMTPUTF8 takes it."""
    assert outside.sign_up("jørgen@example.com").status is RunStatus.COMPLETED
    assert outside.look().welcomes == {"jørgen@example.com": 1}


def test_without_servers_mails_and_contacts_are_files(tmp_path, monkeypatch):
    """Out of the box the example needs nothing, and shows what it did."""
    monkeypatch.setenv("SIGNUP_DATA", str(tmp_path / "data"))
    for name in ("SIGNUP_SMTP", "SIGNUP_CRM"):
        monkeypatch.delenv(name, raising=False)
    run = Outside(tmp_path).sign_up("ada@example.com")
    assert run.status is RunStatus.COMPLETED
    (mail,) = (tmp_path / "data" / "mails").iterdir()
    (contact,) = (tmp_path / "data" / "contacts").iterdir()
    assert "Good to have you here, Ada." in mail.read_text()
    assert json.loads(contact.read_text())["email"] == "ada@example.com"


def test_hello_says_hello():
    """The smallest example runs as its first line says."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "hello.py")], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.stdout, done.stderr) == ("Hello, world!\n", "")
