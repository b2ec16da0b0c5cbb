"""A small schema registry over real HTTP, after the documented API of Confluent's: what the tests of its client need."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import make_avsc_object

USER, PASSWORD = "ada", "secret"


class RegistryServer(ThreadingHTTPServer):
    """Keeps schemas by id and subjects by name."""

    def __init__(self, *, guarded: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.guarded = guarded
        self.schemas: list[Any] = []
        self.subjects: dict[str, list[int]] = {}
        self.configs: dict[str, str] = {}
        self.requests: list[str] = []
        self.broken: int | None = None
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def answer(self, method: str, parts: list[str], body: Any) -> tuple[int, Any]:  # noqa: C901, PLR0911 - a table of cases
        """Status and answer."""
        schema = json.loads(body["schema"]) if body and "schema" in body else None
        match (method, parts):
            case ("GET", ["schemas", "ids", number]):
                if not 1 <= int(number) <= len(self.schemas):
                    return 404, {"error_code": 40403, "message": "Schema not found"}
                return 200, {"schema": json.dumps(self.schemas[int(number) - 1])}
            case ("PUT", ["config", subject]):
                self.configs[subject] = body["compatibility"]
                return 200, body
            case ("POST", ["subjects", subject]):
                if subject not in self.subjects:
                    return 404, {"error_code": 40401, "message": "Subject not found"}
                for number in self.subjects[subject]:
                    if self.schemas[number - 1] == schema:
                        return 200, {"subject": subject, "id": number, "version": 1, "schema": body["schema"]}
                return 404, {"error_code": 40403, "message": "Schema not found"}
            case ("POST", ["subjects", subject, "versions"]):
                return self._register(subject, schema)
            case ("POST", ["compatibility", "subjects", subject, "versions", "latest"]):
                if subject not in self.subjects:
                    return 404, {"error_code": 40401, "message": "Subject not found"}
                return 200, {"is_compatible": self._reads(schema, self.subjects[subject][-1])}
            case _:
                return 405, {"error_code": 405, "message": "HTTP 405 Method Not Allowed"}

    def _register(self, subject: str, schema: Any) -> tuple[int, Any]:
        versions = self.subjects.setdefault(subject, [])
        if not all(self._reads(schema, number) for number in versions):
            return 409, {"error_code": 409, "message": "Schema being registered is incompatible with an earlier schema"}
        if schema not in self.schemas:
            self.schemas.append(schema)
        number = self.schemas.index(schema) + 1
        if number not in versions:
            versions.append(number)
        return 200, {"id": number}

    def _reads(self, schema: Any, number: int) -> bool:
        reader, writer = make_avsc_object(schema), make_avsc_object(self.schemas[number - 1])
        found = ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)
        return found.compatibility is SchemaCompatibilityType.compatible


class _Handler(BaseHTTPRequestHandler):
    server: RegistryServer

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        with self.server.lock:
            self.server.requests.append(f"{self.command} {self.path}")
            status, answer = self._status(body)
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _status(self, body: Any) -> tuple[int, Any]:
        if self.server.broken is not None:
            return self.server.broken, b"<html>not today</html>"
        login = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.server.guarded and self.headers.get("Authorization") != login:
            return 401, {"error_code": 401, "message": "Unauthorized"}
        return self.server.answer(self.command, self.path.strip("/").split("/"), body)

    do_GET = do_POST = do_PUT = _serve  # noqa: N815 - the names that http.server asks for

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is inherited
        """Say nothing."""


@contextmanager
def running(*, guarded: bool = False) -> Iterator[RegistryServer]:
    """A registry for the length of a with block."""
    server = RegistryServer(guarded=guarded)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
