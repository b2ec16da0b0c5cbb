"""How a record that could not be read is kept: as it was, with its place and the reason in its headers."""

from typing import Final

from actionbus.contracts.records import Headers, InRecord, OutRecord

PREFIX: Final = "actionbus-dlq-"
_MESSAGE_BYTES: Final = 1_000
_LARGEST_HEADERS: Final = 16_384


def dead_letter(record: InRecord, *, group: str, error: Exception, largest: int) -> OutRecord:
    """The record as it was found, with ``actionbus-dlq-*`` headers that say where and why.

    ``group`` names who could not read it. A record that would pass ``largest`` bytes with these headers loses its own
    headers first and then its value, and a header ``actionbus-dlq-truncated`` says so: the whole of it is still where
    it was found, until that topic's retention.
    """
    place: Headers = (
        (f"{PREFIX}original-topic", record.topic.encode()),
        (f"{PREFIX}original-partition", str(record.partition).encode()),
        (f"{PREFIX}original-offset", str(record.offset).encode()),
        (f"{PREFIX}original-timestamp", str(record.timestamp_ms).encode()),
        (f"{PREFIX}original-group", group.encode()),
        (f"{PREFIX}exception-type", type(error).__name__.encode()),
        (f"{PREFIX}exception-message", str(error).encode("utf-8", "replace")[:_MESSAGE_BYTES]),
    )
    own = tuple(header for header in record.headers if not header[0].startswith(PREFIX))
    letter = OutRecord(key=record.key, value=record.value, headers=(*own, *place))
    if letter.size <= largest:
        return letter
    truncated = ((f"{PREFIX}truncated", str(letter.size).encode()),)
    if OutRecord(key=None, value=None, headers=own).size > _LARGEST_HEADERS:
        own = ()
    letter = OutRecord(key=record.key, value=record.value, headers=(*own, *place, *truncated))
    if letter.size <= largest:
        return letter
    key = record.key if len(record.key or b"") <= _LARGEST_HEADERS else None
    return OutRecord(key=key, value=None, headers=(*own, *place, *truncated))
