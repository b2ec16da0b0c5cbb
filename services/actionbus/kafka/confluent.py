"""Confluent's framing: a zero byte, the schema's id in a registry, the body. For installations that have a registry.

The client speaks the registry's documented REST API (schemas by id, subjects, compatibility). Services only read from
the registry; `actionbus topics apply` writes the schemas to it. A schema is asked for once in a process, by a blocking
call of at most TIMEOUT_SECONDS, because a record cannot be understood before. No real registry was at hand when this
was written: it is tested against a small server that follows the documentation.
"""

import json
import time
from http import HTTPStatus
from typing import Any, Final

import fastavro
import httpx

from actionbus.contracts import schemas
from actionbus.contracts.errors import AccessRefused, Conflict, RecordUnreadable, Refused, Unavailable
from actionbus.contracts.model import Record

MAGIC: Final = b"\x00"
TIMEOUT_SECONDS: Final = 5.0
UNKNOWN_SECONDS: Final = 60.0  # how long an id that the registry did not know is not asked for again
UNKNOWN_IDS: Final = 1_000  # how many of them are remembered
_HEADER_BYTES: Final = 5  # the zero byte and four bytes of id, big-endian
_MEDIA_TYPE: Final = "application/vnd.schemaregistry.v1+json"
_COMPATIBILITY: Final = "BACKWARD_TRANSITIVE"


class Registry:
    """The few calls of a schema registry that are needed here, each made once and never repeated by itself."""

    def __init__(self, url: str, *, username: str | None = None, password: str | None = None) -> None:
        self._url = url
        self._client = httpx.Client(
            base_url=url,
            auth=(username, password or "") if username is not None else None,
            headers={"Accept": _MEDIA_TYPE, "Content-Type": _MEDIA_TYPE},
            timeout=TIMEOUT_SECONDS,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def schema(self, schema_id: int) -> Any | None:
        """The schema of an id, or None when the registry has none; raises Unavailable, AccessRefused or Refused."""
        answer = self._ask("GET", f"/schemas/ids/{schema_id}")
        return None if answer is None else _schema(answer)

    def find(self, subject: str, schema: Any) -> int | None:
        """The id of a schema that the subject has, or None; raises Unavailable, AccessRefused or Refused."""
        answer = self._ask("POST", f"/subjects/{subject}", {"schema": json.dumps(schema)})
        return None if answer is None else int(answer["id"])

    def register(self, subject: str, schema: Any) -> int:
        """Give a subject a schema, as a new version unless it has it, and return its id.

        The subject is told to refuse what cannot read all its older versions; raises Conflict when that is so.
        """
        self._ask("PUT", f"/config/{subject}", {"compatibility": _COMPATIBILITY})
        answer = self._ask("POST", f"/subjects/{subject}/versions", {"schema": json.dumps(schema)})
        if answer is None:
            raise Refused(f"the schema registry at {self._url} has no place for subject {subject}")
        return int(answer["id"])

    def compatible(self, subject: str, schema: Any) -> bool:
        """Whether a schema can read the newest one of a subject; a subject without any takes all."""
        answer = self._ask("POST", f"/compatibility/subjects/{subject}/versions/latest", {"schema": json.dumps(schema)})
        return answer is None or bool(answer["is_compatible"])

    def _ask(self, method: str, path: str, body: Any = None) -> Any | None:
        """The answer as JSON; None for what is not there."""
        what = f"schema registry {self._url}, {method} {path}"
        try:
            reply = self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise Unavailable(f"{what}: {error or type(error).__name__}") from error
        if reply.status_code == HTTPStatus.NOT_FOUND:
            return None
        if reply.is_success:
            try:
                return reply.json()
            except ValueError as error:
                raise Refused(f"{what}: the answer is no JSON, is this a schema registry?") from error
        said = f"{what}: {reply.status_code} {_message(reply)}"
        if reply.status_code in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise AccessRefused(said)
        if reply.status_code == HTTPStatus.CONFLICT:
            raise Conflict(said)
        if reply.is_server_error or reply.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            raise Unavailable(said)
        raise Refused(said)


class ConfluentFraming:
    """Frames records with the ids that a registry gave their schemas; a subject is named like the record."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._prefixes: dict[type[Record], bytes] = {}
        self._schemas: dict[int, Any] = {}
        self._unknown: dict[int, float] = {}

    def prefix(self, model: type[Record]) -> bytes:
        """Zero byte and id; raises Refused when the registry does not have the schema of this version."""
        known = self._prefixes.get(model)
        if known is None:
            schema_id = self._registry.find(subject_of(model), schemas.raw(model))
            if schema_id is None:
                raise Refused(f"the schema registry lacks {subject_of(model)}: run `actionbus topics apply` first")
            known = self._prefixes[model] = MAGIC + schema_id.to_bytes(4, "big")
            self._schemas[schema_id] = schemas.parsed(model)
        return known

    def shared(self, model: type[Record]) -> Any | None:  # noqa: ARG002 - the same for all
        """None: whoever meets an id that came after him asks the registry."""
        return None

    def writer_schema(self, data: bytes) -> tuple[Any, int]:
        """The schema of the id in the first bytes; raises RecordUnreadable, and Unavailable without a registry."""
        if len(data) < _HEADER_BYTES:
            raise RecordUnreadable(f"{len(data)} bytes are too few for Confluent's framing")
        schema_id = int.from_bytes(data[1:_HEADER_BYTES], "big")
        found = self._schemas.get(schema_id)
        if found is None:
            found = self._schemas[schema_id] = self._fetch(schema_id)
        return found, _HEADER_BYTES

    def _fetch(self, schema_id: int) -> Any:
        now = time.monotonic()
        if self._unknown.get(schema_id, 0.0) > now:
            raise RecordUnreadable(f"the schema registry has no schema {schema_id}")
        schema = self._registry.schema(schema_id)
        if schema is None:
            if len(self._unknown) >= UNKNOWN_IDS:
                self._unknown.clear()
            self._unknown[schema_id] = now + UNKNOWN_SECONDS
            raise RecordUnreadable(f"the schema registry has no schema {schema_id}")
        try:
            return fastavro.parse_schema(schema)
        except Exception as error:  # fastavro raises anything on what is no Avro schema
            raise RecordUnreadable(f"the schema {schema_id} of the registry is no Avro: {error}") from error


def subject_of(model: type[Record]) -> str:
    """The subject of a record: its full name, as with RecordNameStrategy."""
    raw = schemas.raw(model)
    return f"{raw['namespace']}.{raw['name']}"


def _schema(answer: Any) -> Any:
    try:
        return json.loads(answer["schema"])
    except (KeyError, TypeError, ValueError) as error:
        raise RecordUnreadable("the schema registry gave a schema that is no JSON") from error


def _message(reply: httpx.Response) -> str:
    try:
        return str(reply.json()["message"])
    except (ValueError, KeyError, TypeError):
        return reply.reason_phrase
