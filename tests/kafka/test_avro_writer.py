"""Our Avro writer against fastavro: the same bytes for any record."""

from io import BytesIO

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionbus.contracts import schemas
from actionbus.contracts.errors import InvariantBroken
from actionbus.contracts.model import Record
from actionbus.kafka import avro_writer
from contracts import samples

WRITERS = {model: avro_writer.writer(schemas.raw(model)) for model in schemas.MODELS}


def _both(record: Record) -> tuple[bytes, bytes]:
    ours, theirs = bytearray(), BytesIO()
    WRITERS[type(record)](ours, record)
    fastavro.schemaless_writer(theirs, schemas.parsed(type(record)), record.plain())
    return bytes(ours), theirs.getvalue()


@given(st.sampled_from(schemas.MODELS).flatmap(samples.records))
def test_any_record_has_the_bytes_of_fastavro(record: Record) -> None:
    """Whatever is in it."""
    ours, theirs = _both(record)
    assert ours == theirs


@pytest.mark.parametrize("sample", samples.SAMPLES, ids=lambda sample: type(sample).__name__)
def test_a_full_record_has_the_bytes_of_fastavro(sample: Record) -> None:
    """Every field set."""
    ours, theirs = _both(sample)
    assert ours == theirs


@pytest.mark.parametrize("number", [0, 1, -1, 63, 64, -64, -65, 8191, 8192, 2**31, 2**63 - 1, -(2**63)])
def test_numbers_at_the_edges_of_their_lengths(number: int) -> None:
    """Where a number needs one byte more."""
    ours, theirs = bytearray(), BytesIO()
    avro_writer.writer("long")(ours, number)
    fastavro.schemaless_writer(theirs, fastavro.parse_schema("long"), number)
    assert bytes(ours) == theirs.getvalue()


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1])
def test_a_number_that_does_not_fit_is_refused(number: int) -> None:
    """Nothing is cut off."""
    with pytest.raises(OverflowError):
        avro_writer.writer("long")(bytearray(), number)


def test_what_our_schemas_do_not_use_is_refused() -> None:
    """A new kind of type in a schema is noticed when its writer is prepared."""
    with pytest.raises(InvariantBroken, match="double"):
        avro_writer.writer("double")
    with pytest.raises(InvariantBroken):
        avro_writer.writer(["null", "string", "long"])
