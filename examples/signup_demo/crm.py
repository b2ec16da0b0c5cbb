"""The CRM of the demo: a small HTTP service that is down at first, and that rejects some contacts for ever.

    python crm.py --port 8099 --database crm.sqlite

    POST /contacts   {"user_id": ..., "email": ..., "name": ...}   with Idempotency-Key: KEY
        201 and the contact; 400 without a key or e-mail; 422 for a blocked domain; 503 while it is down
    POST /open       ends the time in which it is down

The same key always gets the same answer and makes one contact. Contacts and repeats stand in its SQLite file.
"""

import argparse
import json
import sqlite3
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

BLOCKED = "blocked.example"

TABLES = """
CREATE TABLE IF NOT EXISTS contacts (
    idempotency_key TEXT PRIMARY KEY, user_id TEXT, email TEXT NOT NULL, repeats INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS refusals (status INTEGER NOT NULL, email TEXT);
"""


class Contacts:
    """What the CRM holds. Threads share it; one at a time writes."""

    def __init__(self, database: Path, *, is_open: bool = False) -> None:
        self._database = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.executescript(TABLES)
        self._lock = threading.Lock()
        self.is_open = is_open

    def add(self, key: str | None, contact: dict[str, str]) -> tuple[int, dict[str, str]]:
        """Status and body of the answer to a contact."""
        email = contact.get("email") or ""
        with self._lock:
            if not self.is_open:
                return self._refuse(503, email, "the CRM is down for maintenance")
            if not key or not email:
                return self._refuse(400, email, "an Idempotency-Key and an e-mail are required")
            if email.lower().endswith(f"@{BLOCKED}"):
                return self._refuse(422, email, "contacts of this domain are not wanted")
            known = self._database.execute(
                "UPDATE contacts SET repeats = repeats + 1 WHERE idempotency_key = ?", (key,)
            ).rowcount
            if not known:
                self._database.execute(
                    "INSERT INTO contacts (idempotency_key, user_id, email) VALUES (?, ?, ?)",
                    (key, contact.get("user_id"), email),
                )
            return 201, {"id": key, "email": email}

    def _refuse(self, status: int, email: str, reason: str) -> tuple[int, dict[str, str]]:
        self._database.execute("INSERT INTO refusals (status, email) VALUES (?, ?)", (status, email))
        return status, {"error": reason}


class Server(ThreadingHTTPServer):
    """One thread for each connection, over one set of contacts."""

    daemon_threads = True

    def __init__(self, port: int, contacts: Contacts) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.contacts = contacts


class Handler(BaseHTTPRequestHandler):
    """Turns requests into calls of `Contacts`."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        """A contact, or the end of the maintenance."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/open":
            self.server.contacts.is_open = True
            self._answer(200, {"open": "true"})
        elif self.path == "/contacts":
            self._answer(*self.server.contacts.add(self.headers.get("Idempotency-Key"), json.loads(body or b"{}")))
        else:
            self._answer(404, {"error": "there is only /contacts"})

    def _answer(self, status: int, body: dict[str, str]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing: the SQLite file holds what happened."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8099)
    parser.add_argument("--database", type=Path, default=Path("crm.sqlite"))
    parser.add_argument("--open", action="store_true", help="not down at first")
    given = parser.parse_args()
    Server(given.port, Contacts(given.database, is_open=given.open)).serve_forever()
