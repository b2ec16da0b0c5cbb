"""The headers of our records: CloudEvents 1.0 in Kafka's binary mode, and W3C trace context. Headers are hints only."""

from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from actionbus.contracts import traces
from actionbus.contracts.records import Headers, InRecord

AVRO: Final = b"application/avro"
JSON: Final = b"application/json"
CONTENT_TYPE: Final = "content-type"
_SPEC_VERSION: Final = ("ce_specversion", b"1.0")


def cloud_event(
    kind: str,
    event_id: str,
    source: str,
    time_ms: int,
    *,
    content_type: bytes = AVRO,
    trace: str | None = None,
) -> Headers:
    """The headers of a record of one of our schemas.

    ``kind`` is the record's name; ``source`` says which service wrote it; ``time_ms`` is epoch milliseconds;
    ``trace`` is the text of a trace, see ``traces``.
    """
    fixed = _fixed(kind, source, content_type)
    varying = (("ce_id", event_id.encode()), ("ce_time", _rfc3339(time_ms)))
    if trace is None:
        return fixed + varying
    return (*fixed, *varying, *traces.headers(trace))


def kind_of(kind: str) -> bytes:
    """The header ``ce_type`` of the records of that name."""
    return f"actionbus.v1.{kind}".encode()


@lru_cache(maxsize=256)
def _fixed(kind: str, source: str, content_type: bytes) -> Headers:
    return (
        (CONTENT_TYPE, content_type),
        _SPEC_VERSION,
        ("ce_type", kind_of(kind)),
        ("ce_source", f"/actionbus/{source}".encode()),
    )


@lru_cache(maxsize=1024)
def _rfc3339(time_ms: int) -> bytes:
    moment = datetime.fromtimestamp(time_ms / 1000, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()


def trace_of(record: InRecord) -> str | None:
    """The text of the record's trace when its traceparent is well formed, else None."""
    parent = record.header(traces.TRACEPARENT)
    if parent is None:
        return None
    state = record.header(traces.TRACESTATE)
    return traces.read(parent.decode("ascii", "replace"), None if state is None else state.decode("ascii", "replace"))
