"""The mail server of the demo: it takes mail over SMTP, and has moods like a real one.

    python mailbox.py --port 2525 --database mailbox.sqlite

The domain of the recipient decides. Everything it took, and every repeat it dropped, stands in its SQLite file, where
the judge of the demo reads it without asking actionbus.
"""

import argparse
import asyncio
import signal
import sqlite3
import time
from email import message_from_bytes
from email.policy import default as policy
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

GREYLIST = "greylist.example"  # 451 until a mail has been waiting for some seconds
FULL = "full.example"  # 552 for ever
GONE = "gone.example"  # 550 for ever
LOST_REPLY = "lostreply.example"  # takes the mail, and hangs up instead of saying so, once for each mail
GREYLIST_SECONDS = 2.0

TABLES = """
CREATE TABLE IF NOT EXISTS mails (
    message_id TEXT PRIMARY KEY, recipient TEXT NOT NULL, subject TEXT NOT NULL, repeats INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS refusals (recipient TEXT NOT NULL, reply TEXT NOT NULL);
"""


class Mailbox:
    """Takes and refuses mail. A Message-ID that was already taken is dropped, counted, and answered alike."""

    def __init__(self, database: Path, *, greylist_seconds: float = GREYLIST_SECONDS) -> None:
        self._database = sqlite3.connect(database, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.executescript(TABLES)
        self._greylist_seconds = greylist_seconds
        self._first_seen: dict[str, float] = {}

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Accept a recipient, or refuse it for ever."""
        reply = {FULL: "552 5.2.2 mailbox full", GONE: "550 5.1.1 no such user"}.get(_domain(address))
        if reply is not None:
            return self._refuse(address, reply)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - the same
        """Take a mail, refuse it for a while, or drop it because it was taken before."""
        mail = message_from_bytes(envelope.content or b"", policy=policy)
        message_id, recipient = str(mail["Message-ID"] or "").strip(), envelope.rcpt_tos[0]
        if not message_id:
            return self._refuse(recipient, "554 5.6.0 a Message-ID is required")
        waited = time.monotonic() - self._first_seen.setdefault(message_id, time.monotonic())
        if _domain(recipient) == GREYLIST and waited < self._greylist_seconds:
            return self._refuse(recipient, "451 4.7.1 greylisted, try again later")
        known = self._database.execute(
            "UPDATE mails SET repeats = repeats + 1 WHERE message_id = ?", (message_id,)
        ).rowcount
        if not known:
            self._database.execute(
                "INSERT INTO mails (message_id, recipient, subject) VALUES (?, ?, ?)",
                (message_id, recipient, str(mail["Subject"])),
            )
            if _domain(recipient) == LOST_REPLY and server.transport is not None:
                server.transport.abort()
        return "250 OK"

    def _refuse(self, recipient: str, reply: str) -> str:
        self._database.execute("INSERT INTO refusals (recipient, reply) VALUES (?, ?)", (recipient, reply))
        return reply


def _domain(address: str) -> str:
    return address.rpartition("@")[2].lower()


async def serve(port: int, database: Path) -> None:
    """Listen on a loopback port until SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    mailbox = Mailbox(database)
    server = await loop.create_server(lambda: SMTP(mailbox, enable_SMTPUTF8=True, loop=loop), "127.0.0.1", port)
    async with server:
        await stop.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=2525)
    parser.add_argument("--database", type=Path, default=Path("mailbox.sqlite"))
    given = parser.parse_args()
    asyncio.run(serve(given.port, given.database))
