"""Our Avro reader against fastavro and the models: the same record from any bytes, or no word about them."""

from io import BytesIO

import fastavro
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actionbus.contracts import schemas
from actionbus.contracts.errors import InvariantBroken
from actionbus.contracts.model import Record
from actionbus.contracts.results import ActionResult
from actionbus.kafka import avro_reader, avro_writer
from contracts import samples

READERS = {model: avro_reader.reader(model, schemas.raw(model)) for model in schemas.MODELS}
WRITERS = {model: avro_writer.writer(schemas.raw(model)) for model in schemas.MODELS}
NUMBERS = [0, 1, -1, 63, 64, -64, -65, 8191, 8192, 2**31, 2**62, -(2**62) - 1, 2**63 - 1, -(2**63)]


def _body(record: Record) -> bytes:
    out = bytearray()
    WRITERS[type(record)](out, record)
    return bytes(out)


def _theirs(model: type[Record], body: bytes) -> Record:
    rest = BytesIO(body)
    fields = fastavro.schemaless_reader(rest, schemas.parsed(model), schemas.parsed(model))
    assert not rest.read(), "bytes are left"
    return model.model_validate(fields)


def _alike(record: Record, other: Record) -> bool:
    """Equal, and of the same types all the way down: an enum's text equals its member."""
    return record == other and repr(record) == repr(other)


@given(st.sampled_from(schemas.MODELS).flatmap(samples.records))
def test_any_record_is_read_as_fastavro_and_its_model_read_it(record: Record) -> None:
    """Whatever is in it."""
    body = _body(record)
    assert _alike(READERS[type(record)](body, 0), _theirs(type(record), body))


@pytest.mark.parametrize("sample", samples.SAMPLES, ids=lambda sample: type(sample).__name__)
def test_a_full_record_is_read_without_help(sample: Record) -> None:
    """Every field set, behind a frame."""
    assert _alike(READERS[type(sample)](b"frame" + _body(sample), 5), sample)


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_at_the_edges_of_their_lengths(number: int) -> None:
    """Where a number needs one byte more."""
    sample = samples.RESULT.replace(started_at=number)
    assert READERS[ActionResult](_body(sample), 0) == sample


@given(st.sampled_from(samples.SAMPLES), st.data())
def test_damaged_bytes_are_read_as_fastavro_reads_them_or_not_at_all(sample: Record, data: st.DataObject) -> None:
    """A flipped byte or a missing end: what fastavro or the model would refuse is never read."""
    whole = bytearray(_body(sample))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    _reads_nothing_else(type(sample), bytes(whole[: data.draw(st.integers(0, len(whole)))]))
    _reads_nothing_else(type(sample), bytes(whole))


@given(st.sampled_from(schemas.MODELS), st.binary(max_size=300))
@example(ActionResult, b"\x00\x00\x00\x02\x00\x00\x00\x00\x00\x80\x00\x00")  # a zero in two bytes
def test_random_bytes_are_read_as_fastavro_reads_them_or_not_at_all(model: type[Record], body: bytes) -> None:
    """Another record by accident is the same one."""
    _reads_nothing_else(model, body)


def test_what_our_schemas_do_not_use_is_refused() -> None:
    """A new kind of type in a schema is noticed when its reader is prepared."""
    for unknown in ("double", ["null", "string", "long"]):
        schema = {"type": "record", "name": "ActionResult", "fields": [{"name": "run_id", "type": unknown}]}
        with pytest.raises(InvariantBroken):
            avro_reader.reader(ActionResult, schema)


def _reads_nothing_else(model: type[Record], body: bytes) -> None:
    try:
        ours = READERS[model](body, 0)
    except avro_reader.Unusual:
        return
    assert _alike(ours, _theirs(model, body))
