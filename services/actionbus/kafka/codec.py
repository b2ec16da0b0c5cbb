"""Records of our schemas as bytes and back. Framing is Avro's single-object encoding, or Confluent's by setting.

Readers accept whatever framing they meet: the first byte tells them apart (C3 single-object, 00 Confluent, { JSON).
Nobody finds the schema of a fingerprint that came after him, so what the release before could have said is said by its
schema: while an installation is upgraded, processes of both versions read each other.
JSON is for clients without Avro: the fields of the schema by name, JSON payloads inline instead of as bytes.
"""

from collections.abc import Callable, Mapping
from functools import cache
from io import BytesIO
from typing import Any, Final, Protocol, TypeVar

import fastavro
from pydantic import ValidationError

from actionbus.contracts import payloads, schemas
from actionbus.contracts.errors import RecordUnreadable
from actionbus.contracts.model import Record
from actionbus.contracts.results import ActionResult
from actionbus.kafka import avro_reader, avro_writer

SINGLE_OBJECT: Final = b"\xc3\x01"
_SINGLE_OBJECT_BYTES: Final = 10  # marker and fingerprint
CONFLUENT: Final = b"\x00"
JSON_OBJECT: Final = b"{"

R = TypeVar("R", bound=Record)


class Framing(Protocol):
    """What stands before the Avro body, so that a reader finds the writer's schema."""

    def prefix(self, model: type[Record]) -> bytes:
        """The bytes before the body of a record of this model."""
        ...

    def shared(self, model: type[Record]) -> Any | None:
        """The schema of the release before, where a record that it can say has to be written with it."""
        ...

    def writer_schema(self, data: bytes) -> tuple[Any, int]:
        """The writer's schema and where the body begins; raises RecordUnreadable when it is not known."""
        ...


class SingleObject:
    """``C3 01``, the fingerprint of the writer's schema, the body. Source: Avro specification 1.12.

    It knows the schemas of this version and of every released one, so records of any age can be read.
    """

    def __init__(self, *, alone: bool = False) -> None:
        """``alone``: what is written is for this version and later ones."""
        self._alone = alone
        self._prefixes = {model: SINGLE_OBJECT + schemas.rabin(model) for model in schemas.MODELS}
        self._schemas = {SINGLE_OBJECT + each.rabin: each.parsed for each in schemas.released()}
        self._schemas |= {prefix: schemas.parsed(model) for model, prefix in self._prefixes.items()}

    def prefix(self, model: type[Record]) -> bytes:
        """Marker and fingerprint."""
        return self._prefixes[model]

    def shared(self, model: type[Record]) -> Any | None:
        """That of the release before, if all that was added since are members of enums."""
        old = None if self._alone else schemas.shared(model)
        return old and old.raw

    def writer_schema(self, data: bytes) -> tuple[Any, int]:
        """The schema of the fingerprint."""
        found = self._schemas.get(data[:_SINGLE_OBJECT_BYTES])
        if found is None:
            raise RecordUnreadable(
                f"no schema has the fingerprint {data[2:_SINGLE_OBJECT_BYTES].hex()}: "
                "it was written by another version of actionbus or is no record of it",
            )
        return found, _SINGLE_OBJECT_BYTES


class Codec:
    """Writes with one framing, reads all of them."""

    def __init__(self, framing: Framing | None = None) -> None:
        self._single = SingleObject()
        self._framing = framing or self._single
        self._shared = {model: _shared_writer(self._framing.shared(model)) for model in schemas.MODELS}

    def encode(self, record: Record) -> bytes:
        """The bytes of a record, framed."""
        model = type(record)
        if (old := self._shared[model]) is not None:
            prefix, write = old
            try:
                out = bytearray(prefix)
                write(out, record)
                return bytes(out)
            except KeyError:
                pass  # a member of an enum that is new in this version: who does not know it is told so
        out = bytearray(self._framing.prefix(model))
        _writer(model)(out, record)
        return bytes(out)

    def decode(self, model: type[R], data: bytes | None) -> R:
        """The record in the bytes; raises RecordUnreadable with the reason, whatever the bytes are."""
        if not data:
            raise RecordUnreadable(f"the record is empty, a {model.__name__} was expected")
        if (read := _readers(model).get(data[:_SINGLE_OBJECT_BYTES])) is not None:
            try:
                return read(data, _SINGLE_OBJECT_BYTES)
            except avro_reader.Unusual:
                pass  # it is read, or refused with a reason, below
        if data[:1] == JSON_OBJECT:
            return from_json(model, data)
        try:
            return model.model_validate(self._fields(model, data, schemas.parsed(model)))
        except ValidationError as error:
            raise RecordUnreadable(f"no {model.__name__}: {_places(error)}") from error

    def glance(self, model: type[Record], data: bytes | None, *names: str) -> Mapping[str, Any]:
        """Some plain fields of a record, the others skipped unread: for who passes over most records it meets.

        The values are as Avro has them, an enum is its symbol. Raises RecordUnreadable as ``decode`` does.
        """
        if not data or data[:1] == JSON_OBJECT:
            return self.decode(model, data).plain()
        return self._fields(model, data, schemas.part(model, names))

    def _fields(self, model: type[Record], data: bytes, reader: Any) -> Mapping[str, Any]:
        writer, start = self._writer_schema(data)
        body = BytesIO(data)
        body.seek(start)
        try:
            fields: Any = fastavro.schemaless_reader(body, writer, reader)
        except Exception as error:  # fastavro raises anything on bytes that are not Avro
            raise RecordUnreadable(f"no {model.__name__}: {type(error).__name__}: {error}") from error
        if left := len(data) - body.tell():
            raise RecordUnreadable(f"no {model.__name__}: {left} byte{'s' * (left > 1)} left behind the record")
        return fields

    def _writer_schema(self, data: bytes) -> tuple[Any, int]:
        if data[:2] == SINGLE_OBJECT:
            return self._single.writer_schema(data)
        if data[:1] == CONFLUENT and self._framing is not self._single:
            return self._framing.writer_schema(data)
        raise RecordUnreadable(f"the record begins with {data[:2].hex()}: neither Avro of ours nor JSON")


@cache
def _writer(model: type[Record]) -> avro_writer.Writer:
    return avro_writer.writer(schemas.raw(model))


def _shared_writer(schema: Any | None) -> tuple[bytes, avro_writer.Writer] | None:
    return None if schema is None else (SINGLE_OBJECT + schemas.rabin_of(schema), avro_writer.writer(schema))


@cache
def _readers(model: type[R]) -> Mapping[bytes, Callable[[bytes, int], R]]:
    """By the frame: what reads the two schemas that this version writes."""
    old = schemas.shared(model)
    written = [schemas.raw(model), *([old.raw] if old else [])]
    return {SINGLE_OBJECT + schemas.rabin_of(each): avro_reader.reader(model, each) for each in written}


_JSON_PAYLOADS: Final = {"payload", "start_input", "input", "original_output", "output", "details"}
_JSON_RECORDS: Final = {"error", "child"}  # that hold payloads


def to_json(record: Record) -> bytes:
    """A record as JSON for a client without Avro: payloads stand inline."""
    return payloads.encode(_opened(record.plain()))


def from_json(model: type[R], data: bytes) -> R:
    """A record that a client without Avro wrote; raises RecordUnreadable with the reason.

    JSON says more than Avro does (numbers of any size), so what was read is written once: a record that is accepted
    here can be passed on as Avro.
    """
    try:
        fields = payloads.decode(data)
        if model is ActionResult:
            for emit in fields.get("emits") or ():
                _close_emit(emit)
        record = model.from_plain(_closed(fields))
        fastavro.schemaless_writer(BytesIO(), schemas.parsed(model), record.plain())
    except ValidationError as error:
        raise RecordUnreadable(f"no {model.__name__}: {_places(error)}") from error
    except (OverflowError, ValueError, AttributeError, TypeError, KeyError, RecursionError) as error:
        raise RecordUnreadable(f"no {model.__name__}: {error}") from error
    return record


def _opened(fields: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, value in fields.items():
        if name in _JSON_PAYLOADS and isinstance(value, bytes):
            shown[name] = payloads.decode(value)
        elif isinstance(value, bytes):
            shown[name] = value.decode("utf-8", "replace")
        elif isinstance(value, dict):
            shown[name] = _opened(value)
        elif isinstance(value, list):
            shown[name] = [_opened(item) if isinstance(item, dict) else item for item in value]
        else:
            shown[name] = value
    return shown


def _closed(fields: dict[str, Any]) -> dict[str, Any]:
    closed: dict[str, Any] = {}
    for name, value in fields.items():
        if name in _JSON_PAYLOADS and value is not None:
            closed[name] = payloads.encode(value)
        elif name in _JSON_RECORDS and isinstance(value, dict):
            closed[name] = _closed(value)
        else:
            closed[name] = value
    return closed


def _close_emit(emit: dict[str, Any]) -> None:
    # A key is text; a value is any JSON, and null a tombstone.
    if emit.get("value") is not None:
        emit["value"] = payloads.encode(emit["value"])


def _places(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
