"""W3C trace context is read as the recommendation says, and ids that need no exchange are the same everywhere."""

import pytest

from actionbus.contracts import headers, traces
from actionbus.contracts.records import InRecord

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def record(*given):
    return InRecord(
        topic="t", partition=0, offset=0, timestamp_ms=0, key=None, value=b"",
        headers=tuple((name, value.encode()) for name, value in given),
    )  # fmt: skip


def test_the_state_goes_along():
    """The tracestate that came with a traceparent is on every record that carries the trace on."""
    came = headers.trace_of(record(("traceparent", PARENT), ("tracestate", "a=1, b@c=2 3")))
    made = headers.cloud_event("ActionCommand", "id", "orchestrator", 0, trace=came)
    assert made[-2:] == (("traceparent", PARENT.encode()), ("tracestate", b"a=1,b@c=2 3"))
    assert headers.trace_of(record(*((name, value.decode()) for name, value in made))) == came


@pytest.mark.parametrize(
    "state", ["", "novalue", "A=1", "a=1;b=\x7f", "a=" + "x" * 257, ",".join(f"k{n}=v" for n in range(33)), "a=b=c"]
)
def test_a_malformed_state_is_dropped_alone(state):
    """A tracestate that is none, or too long, costs itself and not the traceparent."""
    assert traces.read(PARENT, state) == PARENT


def test_a_state_alone_is_no_trace():
    """Without a well-formed traceparent nothing is passed on."""
    assert traces.read(None, "a=1") is None
    assert traces.read("00-x", "a=1") is None


def test_a_text_is_its_trace():
    """What is parsed is written back as it was; the flag says whether the trace is kept."""
    found = traces.parse(f"{PARENT} a=1")
    assert found.text == f"{PARENT} a=1"
    assert (found.sampled, found._replace(flags=0).sampled) == (True, False)
    assert found.at("00f067aa0ba902b7").text == f"{PARENT[:36]}00f067aa0ba902b7-01 a=1"
    assert traces.parse("nonsense") is traces.parse(None) is None
    assert traces.trace_id(f"{PARENT} a=1") == "0af7651916cd43dd8448eb211c80319c"


def test_derived_ids_never_change():
    """Processes of different versions derive the same ids, or a trace falls apart while versions change."""
    assert traces.derived_trace_id("r:0") == "1a989270bd986fd0c10de0fa38731c98"
    assert traces.derived_span_id("r:0/step/1") == "0e2ebd763dfe3523"
