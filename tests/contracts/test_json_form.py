"""The JSON form of records, for clients that have no Avro: kcat and jq make a client or a worker."""

import contextlib
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actionbus.contracts import schemas
from actionbus.contracts.errors import RecordUnreadable
from actionbus.contracts.model import Record
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.contracts.results import ActionResult, ResultKind
from actionbus.kafka import codec
from contracts import samples

CODEC = codec.Codec()


def test_a_start_request_is_written_by_hand() -> None:
    """A request in JSON carries its payload inline and may leave out what has a default."""
    data = b'{"request_id": "r1", "run_id": "a", "kind": "start", "workflow": "hello", "payload": {"name": "Ada"}}'
    request = CODEC.decode(WorkflowRequest, data)
    assert (request.kind, request.workflow, request.payload) == (RequestKind.START, "hello", b'{"name":"Ada"}')


def test_a_result_is_written_by_hand() -> None:
    """A result in JSON carries output, error details and emitted values inline."""
    fields = {
        "command_id": "a:0/s/1",
        "step_key": "a:0/s",
        "run_id": "a",
        "kind": "failed",
        "nonce": "n",
        "emits": [{"topic": "mails", "key": "ada", "value": {"sent": 1}}, {"topic": "mails", "value": None}],
        "error": {"type": "MailboxFull", "details": {"quota": 1}},
    }
    result = CODEC.decode(ActionResult, json.dumps(fields).encode())
    assert result.kind is ResultKind.FAILED
    assert result.error is not None
    assert (result.error.details, result.error.retryable) == (b'{"quota":1}', True)
    assert [(emit.key, emit.value) for emit in result.emits] == [(b"ada", b'{"sent":1}'), (None, None)]


def test_a_command_is_read_without_avro() -> None:
    """A command in JSON shows the input as JSON, and the ids to copy into the result."""
    shown = json.loads(codec.to_json(samples.COMMAND))
    assert shown["input"] == {"message_id": {"$ref": ["made", "message_id"]}}
    assert (shown["command_id"], shown["nonce"]) == (samples.COMMAND.command_id, samples.COMMAND.nonce)


@pytest.mark.parametrize("sample", [samples.REQUEST, samples.COMMAND], ids=lambda sample: type(sample).__name__)
def test_json_says_what_avro_says(sample: Record) -> None:
    """A record survives its way through JSON unchanged."""
    assert CODEC.decode(type(sample), codec.to_json(sample)) == sample


@pytest.mark.parametrize("sample", samples.SAMPLES, ids=lambda sample: type(sample).__name__)
def test_every_record_can_be_shown_as_json(sample: Record) -> None:
    """Every kind of record has a JSON form, for tools that print it."""
    assert json.loads(codec.to_json(sample))


@given(model=st.sampled_from(schemas.MODELS), fields=st.dictionaries(st.text(), samples.JSON, max_size=5))
@example(model=ActionResult, fields={"emits": 3})
@example(model=ActionResult, fields={"emits": [3]})
@example(model=ActionResult, fields={"emits": {"a": 1}})
@example(model=ActionResult, fields={"error": [1]})
def test_any_json_object_is_read_or_unreadable(model: type[Record], fields: dict) -> None:
    """JSON that is no record raises RecordUnreadable, never another exception."""
    with contextlib.suppress(RecordUnreadable):
        CODEC.decode(model, json.dumps(fields).encode())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("requested_at", "10000000000000000000000000"),
        ("requested_at", "1.5"),
        ("reason", '"\\ud800"'),
        ("payload", '{"a": 1e999}'),
        ("payload", "NaN"),
        ("payload", '{"a": 1, "a": 2}'),
        ("payload", "[" * 100_000),
        ("kind", '"no-such-kind"'),
        ("run_id", "7"),
        ("run_id", "null"),
    ],
)
def test_what_avro_cannot_say_is_refused_in_json(name: str, text: str) -> None:
    """A JSON record that could not be passed on as Avro, or holds no strict JSON, is refused when it is read."""
    fields = {"request_id": '"r1"', "run_id": '"a"', "kind": '"start"', name: text}
    data = "{" + ",".join(f'"{key}":{value}' for key, value in fields.items()) + "}"
    with pytest.raises(RecordUnreadable):
        CODEC.decode(WorkflowRequest, data.encode())


@given(samples.records(WorkflowRequest))
def test_what_is_accepted_as_json_can_be_written_as_avro(request: Record) -> None:
    """A record that was accepted in JSON has an Avro form: it can be passed on and kept."""
    try:
        read = CODEC.decode(WorkflowRequest, codec.to_json(request.replace(payload=b"1", start_input=b"2", child=None)))
    except RecordUnreadable:
        return
    assert CODEC.decode(WorkflowRequest, CODEC.encode(read)) == read
