"""The headers of records are CloudEvents and W3C trace context as others understand them."""

from datetime import UTC, datetime

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.base import Format
from hypothesis import given
from hypothesis import strategies as st

from actionbus.contracts import headers
from actionbus.contracts.records import InRecord, OutRecord

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
MOMENTS = st.integers(0, int(datetime(2200, 1, 1, tzinfo=UTC).timestamp() * 1000))


class _Bytes(Format):
    """Data as it is: what a record of ours holds is Avro, which the SDK knows nothing of."""

    def read_data(self, body, datacontenttype):
        """The bytes."""
        del datacontenttype
        return body

    def write_data(self, data, datacontenttype):
        """The bytes."""
        del datacontenttype
        return data

    def read(self, event_factory, data):
        """Never called in binary mode."""
        raise NotImplementedError

    def write(self, event):
        """Never called in binary mode."""
        raise NotImplementedError

    def get_content_type(self) -> str:
        """The type of structured events, which ours are not."""
        raise NotImplementedError


@given(event_id=st.text(min_size=1, max_size=50), time_ms=MOMENTS)
def test_the_cloudevents_sdk_reads_our_headers(event_id: str, time_ms: int) -> None:
    """The SDK of the CloudEvents project reads id, type, source, time and content type as we wrote them."""
    made = headers.cloud_event("WorkflowEvent", event_id, "shard/3", time_ms)
    event = from_binary(KafkaMessage(headers=dict(made), key=None, value=b"body"), _Bytes())
    assert event.get_id() == event_id
    assert event.get_specversion() == "1.0"
    assert event.get_type() == "actionbus.v1.WorkflowEvent"
    assert event.get_source() == "/actionbus/shard/3"
    assert event.get_datacontenttype() == "application/avro"
    assert event.get_time() == datetime.fromtimestamp(time_ms / 1000, tz=UTC)
    assert event.get_data() == b"body"


def test_a_trace_is_carried_and_read_again() -> None:
    """The traceparent stands in a header of its own, under the name that W3C gives it."""
    made = headers.cloud_event("ActionCommand", "a", "shard/0", 0, trace=TRACE)
    assert made[-1] == ("traceparent", TRACE.encode())
    assert headers.trace_of(_record(made)) == TRACE


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"00-00000000000000000000000000000000-b7ad6b7169203331-01",
        b"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        b"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        b"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        TRACE.encode() + b"\n",
        TRACE.encode() + b"-more",
        b"\xff" * 55,
    ],
)
def test_a_malformed_trace_is_passed_over(value: bytes) -> None:
    """A header that is no traceparent is as good as none: it never reaches a log or another record."""
    assert headers.trace_of(_record((("traceparent", value),))) is None


def test_no_trace_is_none() -> None:
    """A record without trace has none."""
    assert headers.trace_of(_record(())) is None


def test_the_first_header_of_a_name_counts() -> None:
    """Kafka allows a name twice; the first one is read, as it stands."""
    record = _record((("a", b"1"), ("a", b"2"), ("A", b"3")))
    assert (record.header("a"), record.header("A"), record.header("b")) == (b"1", b"3", None)


def test_the_size_of_a_record_counts_everything() -> None:
    """Key, value and headers count; what is not there counts nothing."""
    assert OutRecord(key=b"12", value=b"345", headers=(("ab", b"c"),)).size == 14
    assert OutRecord(key=None, value=None).size == 0


def _record(made: headers.Headers) -> InRecord:
    return InRecord(topic="t", partition=0, offset=0, timestamp_ms=0, key=None, value=None, headers=made)
