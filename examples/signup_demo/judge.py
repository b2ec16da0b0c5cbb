"""The judge of the demo: it reads the outside world and says what is wrong with it.

The world is the users' database, the mail server's file and the CRM's file; none of them knows of actionbus. Signups
are grouped by e-mail address, because that is all the world knows of a signup.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

COMPLETED = "completed"
REJECTED = "rejected"
FAILED = "failed"
WELCOME = "Welcome"  # how the subjects of the example's mails begin
APOLOGY = "Sorry"


@dataclass(frozen=True, kw_only=True)
class Signup:
    """One line of the list; `ending` is its run's last status, or rejected, or how far it came."""

    run_id: str
    email: str
    ending: str


@dataclass(frozen=True, kw_only=True)
class World:
    """What is out there, counted by address where it has one."""

    users: Counter[str] = field(default_factory=Counter)
    letters: Counter[str] = field(default_factory=Counter)
    welcomes: Counter[str] = field(default_factory=Counter)
    apologies: Counter[str] = field(default_factory=Counter)
    contacts: Counter[str] = field(default_factory=Counter)
    repeated_mails: int = 0
    repeated_contacts: int = 0
    refused_mails: Counter[str] = field(default_factory=Counter)  # by reply code
    refused_contacts: Counter[str] = field(default_factory=Counter)  # by status

    @property
    def addresses(self) -> set[str]:
        """Every address that left a trace."""
        return {*self.users, *self.letters, *self.welcomes, *self.apologies, *self.contacts}


def look(users: Path, mailbox: Path, crm: Path) -> World:
    """Read the world as it is now."""
    return World(
        users=_counted(users, "SELECT email, 1 FROM users"),
        letters=_counted(users, "SELECT email, 1 FROM letters"),
        welcomes=_counted(mailbox, "SELECT recipient, 1 FROM mails WHERE subject LIKE ?", f"{WELCOME}%"),
        apologies=_counted(mailbox, "SELECT recipient, 1 FROM mails WHERE subject LIKE ?", f"{APOLOGY}%"),
        contacts=_counted(crm, "SELECT email, 1 FROM contacts"),
        repeated_mails=_counted(mailbox, "SELECT '', repeats FROM mails").total(),
        repeated_contacts=_counted(crm, "SELECT '', repeats FROM contacts").total(),
        refused_mails=_counted(mailbox, "SELECT substr(reply, 1, 3), 1 FROM refusals"),
        refused_contacts=_counted(crm, "SELECT CAST(status AS TEXT), 1 FROM refusals"),
    )


def violations(signups: Iterable[Signup], world: World) -> Iterator[str]:
    """Every way in which the world is not what the endings of the signups promise; nothing when all is well."""
    groups: dict[str, list[Signup]] = {}
    for signup in signups:
        groups.setdefault(signup.email, []).append(signup)
    for address in sorted(world.addresses - groups.keys()):
        yield f"{address} left a trace and never signed up"
    for address, group in sorted(groups.items()):
        for signup in group:
            if signup.ending not in (COMPLETED, FAILED, REJECTED):
                yield f"run {signup.run_id} of {address} did not end as a signup may: {signup.ending}"
        yield from _wrongs(address, Counter(signup.ending for signup in group), world)


def _wrongs(address: str, endings: Counter[str], world: World) -> Iterator[str]:
    completed = endings[COMPLETED]
    began = completed + endings[FAILED]
    users, contacts, letters = world.users[address], world.contacts[address], world.letters[address]
    welcomes, apologies = world.welcomes[address], world.apologies[address]
    if users != completed:
        yield f"{address}: {completed} completed signups, {users} rows"
    if contacts != completed:
        yield f"{address}: {completed} completed signups, {contacts} contacts"
    if welcomes > began:
        yield f"{address}: {began} signups, {welcomes} welcome mails"
    if letters > completed:
        yield f"{address}: {completed} completed signups, {letters} letters"
    # Whoever completed keeps a welcome mail or has a letter; every other welcome mail is apologised for, once.
    kept = completed - min(letters, completed)
    if welcomes < kept:
        yield f"{address}: {completed} completed signups, {letters} letters, but {welcomes} welcome mails"
    if apologies != max(0, welcomes - kept):
        yield f"{address}: {welcomes} welcome mails of which {kept} stand, but {apologies} apologies"


def _counted(database: Path, query: str, *parameters: str) -> Counter[str]:
    found: Counter[str] = Counter()
    if not database.is_file():
        return found
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)
    try:
        for key, count in connection.execute(query, parameters):
            found[key] += count
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
    finally:
        connection.close()
    return found
