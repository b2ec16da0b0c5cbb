"""W3C trace context: what a trace is, as one text, how it stands in headers, and the ids that need no exchange.

The text is the ``traceparent``, and after a space the ``tracestate`` if there is one: ``00-<trace>-<span>-01 a=b``.
Making spans is not done here.
"""

import hashlib
import re
from typing import Final, NamedTuple

from actionbus.contracts.records import Headers

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
SAMPLED: Final = 1  # the bit of the flags that says that whoever began the trace keeps it
STATE_BYTES: Final = 512  # W3C: at least so much is to be passed on; a longer one is dropped whole
STATE_MEMBERS: Final = 32  # W3C: the most that may stand in a list
_PARENT: Final = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
_KEY: Final = r"(?:[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
_MEMBER: Final = re.compile(rf"{_KEY}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{{0,255}}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")


class Trace(NamedTuple):
    """One place in a trace: the trace, the span that is current there, and what the participants say of it."""

    trace_id: str
    span_id: str
    flags: int
    state: str = ""

    @property
    def sampled(self) -> bool:
        """Whether its spans are kept."""
        return bool(self.flags & SAMPLED)

    @property
    def text(self) -> str:
        """The one text that stands for it in states and in calls."""
        parent = f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"
        return f"{parent} {self.state}" if self.state else parent

    def at(self, span_id: str) -> "Trace":
        """The same trace at another span."""
        return self._replace(span_id=span_id)


def parse(text: str | None) -> Trace | None:
    """The trace that a text stands for; None for anything that is not well formed."""
    parent, _, state = (text or "").partition(" ")
    found = _PARENT.fullmatch(parent)
    if found is None:
        return None
    return Trace(found[1], found[2], int(found[3], 16), _state(state))


def read(traceparent: str | None, tracestate: str | None = None) -> str | None:
    """The text of a trace by its two headers; a malformed ``tracestate`` is dropped, with a malformed parent all is."""
    if traceparent is None or _PARENT.fullmatch(traceparent) is None:
        return None
    state = "" if tracestate is None else _state(tracestate)
    return f"{traceparent} {state}" if state else traceparent


def headers(text: str) -> Headers:
    """The headers of a record for the text of a trace."""
    parent, _, state = text.partition(" ")
    if not state:
        return ((TRACEPARENT, parent.encode()),)
    return ((TRACEPARENT, parent.encode()), (TRACESTATE, state.encode()))


def trace_id(text: str | None) -> str | None:
    """The trace id for log lines, None without a trace."""
    found = _PARENT.fullmatch((text or "").partition(" ")[0])
    return None if found is None else found[1]


def derived_trace_id(name: str) -> str:
    """The trace of what began without one: the same in every process that knows the name."""
    return hashlib.blake2b(name.encode(), digest_size=16, person=b"trace").hexdigest()


def derived_span_id(name: str) -> str:
    """The span of what has this name, such as a command id: whoever makes it, and however often, it is one span."""
    return hashlib.blake2b(name.encode(), digest_size=8, person=b"span").hexdigest()


def _state(value: str) -> str:
    members = [each.strip(" \t") for each in value.split(",")]
    members = [each for each in members if each]
    whole = ",".join(members)
    fits = len(whole) <= STATE_BYTES and len(members) <= STATE_MEMBERS and all(map(_MEMBER.fullmatch, members))
    return whole if fits else ""
