"""Confluent's framing, and the client of the registry behind it, over real HTTP."""

import copy
import json
import struct
from collections.abc import Iterator
from io import BytesIO

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from actionbus.contracts import schemas
from actionbus.contracts.errors import AccessRefused, Conflict, RecordUnreadable, Refused, Unavailable
from actionbus.contracts.model import Record
from actionbus.contracts.requests import WorkflowRequest
from actionbus.kafka.codec import Codec, SingleObject
from actionbus.kafka.confluent import ConfluentFraming, Registry, subject_of
from actionbus.provisioner import subjects
from contracts import registry as registries
from contracts import samples
from contracts.registry import RegistryServer

SAMPLES = pytest.mark.parametrize("sample", samples.SAMPLES, ids=lambda sample: type(sample).__name__)


@pytest.fixture
def server() -> Iterator[RegistryServer]:
    """An empty registry."""
    with registries.running() as made:
        yield made


@pytest.fixture
def registry(server: RegistryServer) -> Iterator[Registry]:
    """A client of it."""
    made = Registry(server.url)
    yield made
    made.close()


@pytest.fixture
def codec(registry: Registry) -> Codec:
    """A codec whose schemas are all registered."""
    subjects.register(registry, subjects.subjects("actionbus", []))
    return Codec(ConfluentFraming(registry))


@SAMPLES
def test_a_record_survives(codec: Codec, sample: Record) -> None:
    """A record that was framed with its id is read again unchanged."""
    assert codec.decode(type(sample), codec.encode(sample)) == sample


@SAMPLES
def test_the_frame_is_the_documented_one(codec: Codec, server: RegistryServer, sample: Record) -> None:
    """A zero byte and the schema's id in four bytes, big-endian, stand before the same body as in our own framing."""
    data = codec.encode(sample)
    magic, number = struct.unpack(">bI", data[:5])
    assert magic == 0
    assert server.schemas[number - 1] == schemas.raw(type(sample))
    assert data[5:] == Codec(SingleObject(alone=True)).encode(sample)[10:]


def test_every_framing_is_read(codec: Codec) -> None:
    """Who writes with the registry still reads records without it, and JSON: an installation can change over."""
    assert codec.decode(WorkflowRequest, Codec().encode(samples.REQUEST)) == samples.REQUEST
    body = b'{"request_id":"r","run_id":"a","kind":"start"}'
    assert codec.decode(WorkflowRequest, body).run_id == "a"


def test_without_a_registry_a_framed_record_is_refused() -> None:
    """Who has no registry says what he met, and does not guess."""
    with pytest.raises(RecordUnreadable, match="begins with 0000"):
        Codec().decode(WorkflowRequest, b"\x00\x00\x00\x00\x01body")


def test_a_schema_is_asked_for_once(codec: Codec, server: RegistryServer) -> None:
    """However many records are written and read, the registry is asked once for each schema."""
    server.requests.clear()
    for _ in range(10):
        codec.decode(WorkflowRequest, codec.encode(samples.REQUEST))
    assert len(server.requests) == 1


def test_a_record_of_an_older_schema_is_read(registry: Registry) -> None:
    """A record that another version wrote is read by the schema its id names."""
    older = copy.deepcopy(schemas.raw(WorkflowRequest))
    older["fields"] = [each for each in older["fields"] if each["name"] != "reason"]
    body = BytesIO(struct.pack(">bI", 0, registry.register("older", older)))
    body.seek(5)
    fastavro.schemaless_writer(body, older, samples.REQUEST.plain())
    codec = Codec(ConfluentFraming(registry))
    assert codec.decode(WorkflowRequest, body.getvalue()) == samples.REQUEST.replace(reason=None)


def test_an_unknown_id_is_unreadable_and_not_asked_for_again(codec: Codec, server: RegistryServer) -> None:
    """An id that the registry does not know makes a dead letter, and a flood of them does not flood the registry."""
    server.requests.clear()
    for _ in range(5):
        with pytest.raises(RecordUnreadable, match="no schema 99"):
            codec.decode(WorkflowRequest, b"\x00\x00\x00\x00\x63body")
    assert server.requests == ["GET /schemas/ids/99"]


@pytest.mark.parametrize("schema", ['"no-such-type"', '{"type": "record"}', "[", "7"])
def test_a_schema_that_is_no_avro_is_unreadable(codec: Codec, server: RegistryServer, schema: str) -> None:
    """Whatever a registry keeps under an id, its record is unreadable and nothing worse."""
    server.schemas.append(json.loads(schema) if schema != "[" else "[")
    data = b"\x00" + len(server.schemas).to_bytes(4, "big") + b"body"
    with pytest.raises(RecordUnreadable):
        codec.decode(WorkflowRequest, data)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(tail=st.binary(max_size=40))
def test_no_bytes_after_the_zero_crash_a_reader(codec: Codec, tail: bytes) -> None:
    """Any bytes behind the zero byte are a record or unreadable."""
    try:
        codec.decode(WorkflowRequest, b"\x00" + tail)
    except RecordUnreadable:
        return


def test_services_never_write_to_the_registry(registry: Registry, server: RegistryServer) -> None:
    """A codec whose schema is not registered refuses to write, says what registers it, and changes nothing."""
    with pytest.raises(Refused, match="actionbus topics apply"):
        Codec(ConfluentFraming(registry)).encode(samples.REQUEST)
    assert server.schemas == []


def test_a_registry_that_is_away_is_no_dead_letter(registry: Registry, server: RegistryServer) -> None:
    """While the registry does not answer, a record is neither read nor given up: the reader tries again later."""
    codec = Codec(ConfluentFraming(registry))
    server.broken = 503
    with pytest.raises(Unavailable, match="503"):
        codec.decode(WorkflowRequest, b"\x00\x00\x00\x00\x01body")
    nowhere = Codec(ConfluentFraming(Registry("http://127.0.0.1:1")))
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
        nowhere.decode(WorkflowRequest, b"\x00\x00\x00\x00\x01body")


def test_what_is_no_registry_is_named(registry: Registry, server: RegistryServer) -> None:
    """An address where something else answers is refused with the question whether it is a registry."""
    server.broken = 200
    with pytest.raises(Refused, match="is this a schema registry"):
        registry.schema(1)


def test_a_login_is_sent_and_a_wrong_one_refused() -> None:
    """With a login the registry answers; without or with a wrong one the refusal says so."""
    with registries.running(guarded=True) as server:
        subject = subject_of(WorkflowRequest)
        right = Registry(server.url, username=registries.USER, password=registries.PASSWORD)
        assert right.register(subject, schemas.raw(WorkflowRequest)) == 1
        for wrong in (Registry(server.url), Registry(server.url, username="ada", password="no")):  # noqa: S106 - it has to be wrong
            with pytest.raises(AccessRefused, match="401"):
                wrong.find(subject, schemas.raw(WorkflowRequest))


def test_registering_twice_changes_nothing(registry: Registry, server: RegistryServer) -> None:
    """A second registration finds everything there; every subject refuses what cannot read its older versions."""
    wanted = subjects.subjects("shop", ["send-mail"])
    assert subjects.register(registry, wanted) == subjects.register(registry, wanted)
    assert set(server.configs.values()) == {"BACKWARD_TRANSITIVE"}
    assert set(server.configs) == set(server.subjects) == set(wanted)
    assert len(server.schemas) == len(schemas.MODELS)


def test_subjects_are_found_by_topic_and_by_record() -> None:
    """A tool finds the schema of a topic, a service that of a record; the state topic holds two kinds and has none."""
    found = subjects.subjects("shop", ["send-mail"])
    assert found["actionbus.v1.WorkflowRun"].__name__ == "WorkflowRun"
    assert found["shop.workflow.requests.v1-value"] is WorkflowRequest
    assert found["shop.action.send-mail.commands.v1-value"].__name__ == "ActionCommand"
    assert not [name for name in found if "state" in name or "dead-letters" in name]


def test_an_incompatible_schema_is_a_conflict(registry: Registry) -> None:
    """A schema that cannot read what a subject holds is refused, by the check beforehand and by the registry."""
    subject = subject_of(WorkflowRequest)
    mine = schemas.raw(WorkflowRequest)
    other = copy.deepcopy(mine)
    other["fields"].append({"name": "tenant", "type": "string"})
    assert registry.compatible(subject, mine)
    registry.register(subject, mine)
    assert registry.compatible(subject, mine)
    assert not registry.compatible(subject, other)
    with pytest.raises(Conflict, match="incompatible"):
        registry.register(subject, other)
