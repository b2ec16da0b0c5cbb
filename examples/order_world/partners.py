"""The payment provider and the carriers of the demo: one small HTTP service that is down at first.

    python partners.py --port 8098 --database partners.sqlite [--open]

    POST /charges   {"order_id", "card", "amount"}                        402 for some cards, for ever
    POST /refunds   {"order_id"}
    POST /parcels   {"order_id", "carrier", "item", "units", "address"}   422 where the carrier does not go
    POST /recalls   {"order_id", "carrier"}
    POST /open      ends the time in which all of them answer 503

Each needs an ``Idempotency-Key`` and is answered 201 with a number. A key that comes again gets the same number, makes
nothing new, and is counted. What was refunded or recalled is closed: a charge or parcel that comes later gets 409.
"""

import argparse
import json
import sqlite3
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

DECLINED = "declined"  # a card without money, for ever
LOST_REPLY = "lost-reply"  # a card that is charged, while the answer gets lost, once
ISLAND = "Island"  # how an address ends where express does not go
NOWHERE = "Nowhere"  # how an address ends where nobody goes

TABLES = """
CREATE TABLE IF NOT EXISTS charges (
    number INTEGER PRIMARY KEY, key TEXT UNIQUE, order_id TEXT, card TEXT, amount INTEGER, repeats INTEGER DEFAULT 0
);
CREATE TABLE IF NOT EXISTS refunds (
    number INTEGER PRIMARY KEY, key TEXT UNIQUE, order_id TEXT, repeats INTEGER DEFAULT 0
);
CREATE TABLE IF NOT EXISTS parcels (
    number INTEGER PRIMARY KEY, key TEXT UNIQUE, order_id TEXT, carrier TEXT, item TEXT, units INTEGER, address TEXT,
    repeats INTEGER DEFAULT 0
);
CREATE TABLE IF NOT EXISTS recalls (
    number INTEGER PRIMARY KEY, key TEXT UNIQUE, order_id TEXT, carrier TEXT, repeats INTEGER DEFAULT 0
);
CREATE TABLE IF NOT EXISTS refusals (status INTEGER NOT NULL);
"""
FIELDS = {
    "charges": ("order_id", "card", "amount"),
    "refunds": ("order_id",),
    "parcels": ("order_id", "carrier", "item", "units", "address"),
    "recalls": ("order_id", "carrier"),
}
CLOSED = {
    "charges": "SELECT 1 FROM refunds WHERE order_id = :order_id",
    "parcels": "SELECT 1 FROM recalls WHERE order_id = :order_id AND carrier = :carrier",
}


class Partners:
    """What the partners have agreed to. Threads share it; one at a time writes."""

    def __init__(self, database: Path, *, is_open: bool = False) -> None:
        self._database = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.executescript(TABLES)
        self._lock = threading.Lock()
        self.is_open = is_open

    def take(self, what: str, key: str | None, body: dict[str, Any]) -> tuple[int, dict[str, str]] | None:
        """Status and body of the answer to a request; None: the answer gets lost."""
        with self._lock:
            refused = self._refusal(what, key, body)
            if refused is not None:
                self._database.execute("INSERT INTO refusals (status) VALUES (?)", (refused[0],))
                return refused[0], {"error": refused[1]}
            known = self._database.execute(f"UPDATE {what} SET repeats = repeats + 1 WHERE key = ?", (key,)).rowcount  # noqa: S608 - a name of FIELDS
            if not known:
                fields = FIELDS[what]
                names, marks = ", ".join(fields), ", ?" * len(fields)
                values = (key, *(body[each] for each in fields))
                self._database.execute(f"INSERT INTO {what} (key, {names}) VALUES (?{marks})", values)  # noqa: S608 - the same
                if body.get("card") == LOST_REPLY:
                    return None
            (number,) = self._database.execute(f"SELECT number FROM {what} WHERE key = ?", (key,)).fetchone()  # noqa: S608 - the same
            return 201, {"number": f"{what[0]}-{number}"}

    def _refusal(self, what: str, key: str | None, body: dict[str, Any]) -> tuple[int, str] | None:
        if not self.is_open:
            return 503, "down for maintenance"
        if not key or not body.keys() >= set(FIELDS[what]):
            return 400, f"an Idempotency-Key, {' and '.join(FIELDS[what])} are required"
        if what in CLOSED and self._database.execute(CLOSED[what], body).fetchone():
            return 409, "this was taken back before it came"
        if body.get("card") == DECLINED:
            return 402, "the card is declined"
        address = body.get("address", "")
        if address.endswith(NOWHERE) or (address.endswith(ISLAND) and body["carrier"] == "express"):
            return 422, f"{body['carrier']} does not go there"
        return None


class Server(ThreadingHTTPServer):
    """One thread for each connection, over one set of partners."""

    daemon_threads = True

    def __init__(self, port: int, partners: Partners) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.partners = partners


class Handler(BaseHTTPRequestHandler):
    """Turns requests into calls of `Partners`."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        """Any of the requests, or the end of the maintenance."""
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        what = self.path.removeprefix("/")
        if what == "open":
            self.server.partners.is_open = True
            self._answer(200, {})
        elif what not in FIELDS:
            self._answer(404, {"error": f"there are only {', '.join(FIELDS)}"})
        elif (answer := self.server.partners.take(what, self.headers.get("Idempotency-Key"), body)) is not None:
            self._answer(*answer)
        else:
            self.close_connection = True

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
    parser.add_argument("--port", type=int, default=8098)
    parser.add_argument("--database", type=Path, default=Path("partners.sqlite"))
    parser.add_argument("--open", action="store_true", help="not down at first")
    given = parser.parse_args()
    Server(given.port, Partners(given.database, is_open=given.open)).serve_forever()
