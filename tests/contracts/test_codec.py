"""Records as bytes: what is written is read again, the bytes never change by accident, and no bytes crash a reader."""

import contextlib
import itertools
import json
import tomllib
from io import BytesIO
from pathlib import Path

import fastavro
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actionbus.contracts import schemas
from actionbus.contracts.errors import RecordUnreadable
from actionbus.contracts.events import WorkflowEvent
from actionbus.contracts.model import Record
from actionbus.contracts.requests import RequestKind
from actionbus.contracts.run import RunStatus, WorkflowRun
from actionbus.kafka import codec
from contracts import samples

GOLDEN = Path(__file__).with_name("golden")
VERSION = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["version"]
CODEC = codec.Codec()
ALONE = codec.Codec(codec.SingleObject(alone=True))
MODELS = pytest.mark.parametrize("model", schemas.MODELS, ids=lambda model: model.__name__)
SAMPLES = pytest.mark.parametrize("sample", samples.SAMPLES, ids=lambda sample: type(sample).__name__)


@given(st.sampled_from(schemas.MODELS).flatmap(samples.records))
def test_what_is_written_is_read_again(record: Record) -> None:
    """Any record survives its way over the wire unchanged."""
    assert CODEC.decode(type(record), CODEC.encode(record)) == record


@SAMPLES
def test_the_bytes_of_a_record_are_those_of_its_release(sample: Record) -> None:
    """A full record of each schema has the bytes that were recorded when this version's schemas were made."""
    golden = json.loads((GOLDEN / f"{VERSION}.json").read_text())
    assert ALONE.encode(sample).hex() == golden[type(sample).__name__]


@pytest.mark.parametrize("file", sorted(GOLDEN.iterdir()), ids=lambda file: file.stem)
@MODELS
def test_records_of_old_releases_are_read(model: type[Record], file: Path) -> None:
    """The bytes that every release wrote are readable by this version."""
    golden = json.loads(file.read_text())
    if model.__name__ in golden:
        assert CODEC.decode(model, bytes.fromhex(golden[model.__name__])).plain()


@SAMPLES
def test_a_record_is_framed_as_the_specification_says(sample: Record) -> None:
    """C3 01, the fingerprint in little-endian bytes, then the plain Avro body: any Avro library can read it."""
    data = ALONE.encode(sample)
    assert data[:10] == b"\xc3\x01" + schemas.rabin(type(sample))
    assert fastavro.schemaless_reader(BytesIO(data[10:]), schemas.raw(type(sample)), None) is not None


@given(st.sampled_from(schemas.MODELS).flatmap(samples.records))
def test_what_the_release_before_can_say_is_said_so_that_it_reads_it(record: Record) -> None:
    """Only what needs a member of an enum that is new has the fingerprint of this version; both mean the same."""
    data, alone = CODEC.encode(record), ALONE.encode(record)
    assert CODEC.decode(type(record), alone) == CODEC.decode(type(record), data) == record
    old = schemas.shared(type(record))
    if old is None or not _sayable(record.plain(), old.raw):
        assert data == alone
    else:
        assert data.startswith(b"\xc3\x01" + old.rabin)
        assert fastavro.schemaless_reader(BytesIO(data[10:]), old.raw, None) == record.plain()


def test_requests_results_and_events_are_shared_with_the_release_before() -> None:
    """Versions ask, answer and follow each other while an installation is upgraded; what is new is not disguised."""
    assert {model.__name__ for model in schemas.MODELS if schemas.shared(model)} == {
        *("WorkflowRequest", "ActionResult", "WorkflowEvent")
    }
    rewind = samples.REQUEST.replace(kind=RequestKind.REWIND)
    assert CODEC.encode(rewind) == ALONE.encode(rewind)
    assert CODEC.encode(samples.REQUEST) != ALONE.encode(samples.REQUEST)


def _sayable(plain: dict, schema: dict) -> bool:
    try:
        fastavro.schemaless_writer(BytesIO(), schema, plain)
    except ValueError:  # a symbol that is not there
        return False
    return True


def _unreadable(model: type[Record], data: bytes | None) -> str:
    with pytest.raises(RecordUnreadable) as caught:
        CODEC.decode(model, data)
    return str(caught.value)


@given(model=st.sampled_from(schemas.MODELS), data=st.binary(max_size=200))
@example(model=WorkflowRun, data=b"")
@example(model=WorkflowRun, data=b"{")
@example(model=WorkflowRun, data=b"\x00\x00\x00\x00\x07body")
def test_random_bytes_are_unreadable_and_nothing_else(model: type[Record], data: bytes) -> None:
    """Bytes that are no record raise RecordUnreadable, never another exception."""
    _unreadable(model, data)


@given(model=st.sampled_from(schemas.MODELS), body=st.binary(max_size=300))
def test_a_right_frame_around_random_bytes_never_crashes(model: type[Record], body: bytes) -> None:
    """A body that is not Avro, or another record by accident, is read or refused with RecordUnreadable."""
    try:
        record = CODEC.decode(model, b"\xc3\x01" + schemas.rabin(model) + body)
    except RecordUnreadable:
        return
    assert CODEC.decode(model, CODEC.encode(record)) == record


@given(st.sampled_from(samples.SAMPLES), st.data())
def test_a_damaged_record_never_crashes(sample: Record, data: st.DataObject) -> None:
    """A record with a flipped byte or a missing end is read or refused with RecordUnreadable."""
    whole = bytearray(CODEC.encode(sample))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    for damaged in (bytes(whole), cut):
        with contextlib.suppress(RecordUnreadable):
            CODEC.decode(type(sample), damaged)


@SAMPLES
def test_a_record_cut_short_is_unreadable(sample: Record) -> None:
    """A record without its last byte is refused, not read with a default in place of what is missing."""
    _unreadable(type(sample), CODEC.encode(sample)[:-1])


@SAMPLES
def test_bytes_after_the_record_are_refused(sample: Record) -> None:
    """A record with something behind it was framed wrongly, and is refused."""
    assert "1 byte" in _unreadable(type(sample), CODEC.encode(sample) + b"\x00")


def test_a_record_of_another_kind_is_refused() -> None:
    """A well-formed record of one schema is not taken for one of another."""
    for sample in samples.SAMPLES:
        for model in set(schemas.MODELS) - {type(sample)}:
            _unreadable(model, CODEC.encode(sample))


@given(samples.records(WorkflowEvent))
def test_a_glance_sees_what_a_whole_look_sees(event: Record) -> None:
    """Some fields read alone have the values they have when the whole record is read."""
    seen = CODEC.glance(WorkflowEvent, CODEC.encode(event), "version", "status", "run_id")
    assert seen == {name: getattr(event, name) for name in ("version", "status", "run_id")}


@SAMPLES
def test_every_field_can_be_glanced_at_alone(sample: Record) -> None:
    """Each field can be read without the others, also where they define a type that it only names."""
    for name in type(sample).model_fields:
        assert CODEC.glance(type(sample), CODEC.encode(sample), name) == {name: sample.plain()[name]}


@SAMPLES
def test_any_two_fields_can_be_glanced_at(sample: Record) -> None:
    """Two fields that share a type are read together, whichever stands first."""
    plain = sample.plain()
    for pair in itertools.combinations(type(sample).model_fields, 2):
        assert CODEC.glance(type(sample), CODEC.encode(sample), *pair) == {name: plain[name] for name in pair}


def test_a_glance_at_a_damaged_record_is_refused() -> None:
    """Also who skips most of a record refuses one that is cut short or empty."""
    for data in (None, b"", CODEC.encode(samples.EVENT)[:-1], b"\xc3\x01nonsense"):
        with pytest.raises(RecordUnreadable):
            CODEC.glance(WorkflowEvent, data, "version")


def test_an_unknown_fingerprint_is_named() -> None:
    """A record of a schema nobody knows is refused with its fingerprint, so an operator can look for the writer."""
    assert "0102030405060708" in _unreadable(WorkflowRun, b"\xc3\x01\x01\x02\x03\x04\x05\x06\x07\x08body")


def test_an_enum_member_of_a_newer_writer_becomes_unknown() -> None:
    """A status that this version does not know is read as UNKNOWN; the other fields stay readable."""
    newer = json.loads(json.dumps(schemas.raw(WorkflowRun)))
    (status,) = [field for field in newer["fields"] if field["name"] == "status"]
    status["type"]["symbols"].append("ARCHIVED")
    body = BytesIO()
    fields = {**samples.RUN.plain(), "status": "ARCHIVED"}
    fastavro.schemaless_writer(body, newer, fields)
    read = fastavro.schemaless_reader(BytesIO(body.getvalue()), newer, schemas.raw(WorkflowRun))
    run = WorkflowRun.from_plain(read)
    assert (run.status, run.run_id) == (RunStatus.UNKNOWN, samples.RUN.run_id)
