"""The headers of our records: CloudEvents 1.0 in Kafka's binary mode, and W3C trace context. Headers are hints only."""

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from actionbus.contracts.records import Headers, InRecord

AVRO: Final = b"application/avro"
JSON: Final = b"application/json"
CONTENT_TYPE: Final = "content-type"
TRACEPARENT: Final = "traceparent"
_TRACE: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
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

    ``kind`` is the record's name; ``source`` says which service wrote it; ``time_ms`` is epoch milliseconds.
    """
    fixed = _fixed(kind, source, content_type)
    varying = (("ce_id", event_id.encode()), ("ce_time", _rfc3339(time_ms)))
    if trace is None:
        return fixed + varying
    return (*fixed, *varying, (TRACEPARENT, trace.encode()))


@lru_cache(maxsize=256)
def _fixed(kind: str, source: str, content_type: bytes) -> Headers:
    return (
        (CONTENT_TYPE, content_type),
        _SPEC_VERSION,
        ("ce_type", f"actionbus.v1.{kind}".encode()),
        ("ce_source", f"/actionbus/{source}".encode()),
    )


@lru_cache(maxsize=1024)
def _rfc3339(time_ms: int) -> bytes:
    moment = datetime.fromtimestamp(time_ms / 1000, tz=UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()


def trace_of(record: InRecord) -> str | None:
    """The record's traceparent when it is well formed, else None."""
    value = record.header(TRACEPARENT)
    if value is None:
        return None
    text = value.decode("ascii", "replace")
    return text if _TRACE.fullmatch(text) else None
