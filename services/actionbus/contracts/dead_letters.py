"""How a record that could not be read is kept: as it was, with its place and the reason in its headers.

What became of such a letter is a record of its own behind it, in the same partition: it outlives the letter.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from actionbus.contracts import identifiers
from actionbus.contracts.records import Headers, InRecord, OutRecord

PREFIX: Final = "actionbus-dlq-"
_MESSAGE_BYTES: Final = 1_000
_DIGITS: Final = 18  # of an offset
_LARGEST_HEADERS: Final = 16_384
_OFFSET, _KIND, _BY, _REASON, _REQUEST = (
    f"{PREFIX}settled-{each}" for each in ("offset", "as", "by", "reason", "request")
)


class SettlementKind(StrEnum):
    """What became of a dead letter."""

    REPLAYED = "replayed"
    """Its record was sent once more."""
    DROPPED = "dropped"
    """It was set aside for good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What became of the letter at an offset of the same partition, by whom and why, and by which request."""

    kind: SettlementKind
    offset: int
    by: str = ""
    reason: str = ""
    request_id: str = ""

    @property
    def words(self) -> str:
        """It in words."""
        by = f" by {self.by}" if self.by else ""
        return f"{self.kind.value}{by}{f': {self.reason}' if self.reason else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """A record as it was before it became a dead letter, and where it was found."""

    topic: str
    partition: int
    record: OutRecord


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
    own = _own(record)
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


def original(letter: InRecord) -> Original | None:
    """The record that a letter keeps; None when it does not hold all of it, or not where it was."""
    topic, partition = letter.header(f"{PREFIX}original-topic"), letter.header(f"{PREFIX}original-partition")
    if letter.header(f"{PREFIX}truncated") is not None or topic is None or partition is None:
        return None
    name, number = topic.decode("ascii", "replace"), _number(partition)
    if number is None or identifiers.TOPIC.fullmatch(name) is None:
        return None
    record = OutRecord(key=letter.key, value=letter.value, headers=_own(letter))
    return Original(topic=name, partition=number, record=record)


def told(letter: InRecord) -> tuple[dict[str, str], dict[str, str]]:
    """The headers of a letter as text: what they say of where it was found and why, and the record's own."""
    texts = {name: value.decode("utf-8", "replace") for name, value in letter.headers}
    about = {name.removeprefix(PREFIX): value for name, value in texts.items() if name.startswith(PREFIX)}
    return about, {name: value for name, value in texts.items() if not name.startswith(PREFIX)}


def settling(what: Settlement) -> OutRecord:
    """The record that says what became of a letter."""
    said = (
        *((_OFFSET, str(what.offset)), (_KIND, what.kind.value)),
        *((_BY, what.by), (_REASON, what.reason), (_REQUEST, what.request_id)),
    )
    headers = tuple((name, text.encode("utf-8", "replace")[:_MESSAGE_BYTES]) for name, text in said)
    return OutRecord(key=None, value=None, headers=headers)


def settlement(record: InRecord) -> Settlement | None:
    """What a record of such a topic says became of a letter; None when it is a letter itself."""
    offset, kind = _number(record.header(_OFFSET)), record.header(_KIND)
    if offset is None or kind is None or kind.decode("utf-8", "replace") not in set(SettlementKind):
        return None
    by, reason, asked = ((record.header(name) or b"").decode("utf-8", "replace") for name in (_BY, _REASON, _REQUEST))
    return Settlement(kind=SettlementKind(kind.decode()), offset=offset, by=by, reason=reason, request_id=asked)


def _number(text: bytes | None) -> int | None:
    """An offset or a partition in a header; None for anything that is none, as anybody may write headers."""
    if text is None or len(text) > _DIGITS or not text.isdigit():
        return None
    return int(text)


def _own(record: InRecord) -> Headers:
    return tuple(header for header in record.headers if not header[0].startswith(PREFIX))
