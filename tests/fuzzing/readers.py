"""Each reader of the outside as a function of bytes, which looks at what was read as well. What may go wrong is in `targets`."""

import contextlib
import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from actionbus.client import standing, streaming
from actionbus.contracts import (
    cron,
    dead_letters,
    documents,
    expressions,
    headers,
    identifiers,
    moments,
    payloads,
    schedules,
    templates,
    tokens,
)
from actionbus.contracts.definitions import WorkflowDefinition, read_graph
from actionbus.contracts.errors import IdentifierRefused, PayloadRefused
from actionbus.contracts.events import WorkflowEvent
from actionbus.contracts.limits import DEFAULT_LIMITS
from actionbus.contracts.model import Record
from actionbus.contracts.records import Headers, InRecord
from actionbus.contracts.topics import Topics
from actionbus.contracts.validation import Schema
from actionbus.engine.definition import Definition
from actionbus.kafka import codec as codecs
from actionbus.kafka.codec import Codec
from actionbus.orchestrator import inputs
from actionbus.orchestrator.charter import Charter
from actionbus.sdk import duration
from actionbus.visibility import cursors
from actionbus.worker import metadata
from actionbus.worker.offsets import Progress
from contracts import samples

CODEC = Codec()
TOPICS = Topics("fuzz")
GOLDEN = Path(__file__).parents[1] / "contracts" / "golden"
SHARDS = 4


def as_text(data: bytes) -> str:
    """Bytes as any text that a program can hold, halves of surrogate pairs included."""
    return (
        data.decode("utf-8", "surrogatepass" if b"\xed" in data else "replace")
        if is_utf8(data)
        else data.decode("latin-1")
    )


def is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def reads_record(model: type[Record]) -> Callable[[bytes], object]:
    def run(data: bytes) -> object:
        record = CODEC.decode(model, data)
        assert CODEC.decode(model, CODEC.encode(record)) == record
        assert model.from_plain(record.plain()) == record
        names = tuple(model.model_fields)[:3]
        assert set(CODEC.glance(model, data, *names)) >= set(names)
        if model is WorkflowEvent:
            assert standing.after(data, CODEC) is record.status
        return record

    return run


def golden_bytes(model: type[Record]) -> list[bytes]:
    released = [json.loads(file.read_text()) for file in sorted(GOLDEN.iterdir())]
    sample = next(each for each in samples.SAMPLES if type(each) is model)
    found = [bytes.fromhex(each[model.__name__]) for each in released if model.__name__ in each]
    with contextlib.suppress(PayloadRefused):
        found.append(codecs.to_json(sample))
    return found


def reads_shard(topic: str) -> Callable[[bytes], object]:
    known: dict[str, Any] = dict.fromkeys(("log", "clock", "definitions", "destinations"))
    charter = Charter(shard=1, partitions=SHARDS, owner="fuzz", topics=TOPICS, codec=CODEC, nonce_key=b"fuzz", **known)
    return lambda data: inputs.read(charter, found_record(topic, data))


def found_record(topic: str, value: bytes | None, names: Headers = ()) -> InRecord:
    return InRecord(topic=topic, partition=1, offset=7, timestamp_ms=1, key=b"k", value=value, headers=names)


def as_headers(data: bytes) -> Headers:
    parts = data.split(b"\n")
    return tuple((as_text(part.partition(b"=")[0]), part.partition(b"=")[2]) for part in parts)


def reads_told(data: bytes) -> object:
    """Every header that anybody reads."""
    record = found_record("t", data, as_headers(data))
    dead_letters.told(record)
    settled = dead_letters.settlement(record)
    original = dead_letters.original(record)
    letter = dead_letters.dead_letter(record, group="g", error=ValueError(as_text(data)), largest=100_000)
    assert letter.size <= 100_000 or not data
    return settled, original, headers.trace_of(record)


def reads_names(data: bytes) -> object:
    text = as_text(data)
    for grammar in (identifiers.run_id, identifiers.version, lambda each: identifiers.name("step", each)):
        with contextlib.suppress(IdentifierRefused):
            assert grammar(text) == text
    command = identifiers.parse_command_id(text)
    again = identifiers.command_id(command.step_key, command.attempt, undo=command.undo)
    assert identifiers.parse_command_id(again) == command
    return command


def reads_token(data: bytes) -> object:
    token = tokens.read(as_text(data))
    assert tokens.read(tokens.write(token.command_id, token.nonce)) == token
    return token


def reads_payload(data: bytes) -> object:
    value = payloads.decode(data)
    assert payloads.decode(payloads.encode(value)) == value
    return value


def reads_metadata(data: bytes) -> object:
    committed = metadata.Position(offset=1_000, metadata=as_text(data))
    memo = metadata.read(committed)
    assert metadata.read(metadata.Position(offset=1_000, metadata=metadata.write(1_000, memo))) == memo
    progress = Progress(committed, metadata_bytes=4_096)
    for offset in (1_000, 1_001, 1_005, 2_000):
        progress.receive(offset)
    said = progress.position(leaving=True)
    assert said is None or said.offset >= 1_000
    return None if said is None else metadata.read(metadata.Position(offset=said.offset, metadata=said.metadata))


def reads_cursor(data: bytes) -> object:
    key = cursors.read("newest", as_text(data), int, str)
    assert cursors.read("newest", cursors.written("newest", key), int, str) == key
    return key


def reads_stream(data: bytes) -> object:
    """Server-sent events of a gateway that may be anybody."""

    async def lines() -> Any:
        for line in as_text(data).splitlines():
            yield line

    async def read() -> list[Any]:
        return [each async for each in streaming.parsed(lines())]

    reading = read()
    try:
        reading.send(None)
    except StopIteration as end:
        return [streaming.opened(told) for _kind, _place, told in end.value]
    raise AssertionError("it waits for something")


def reads_cron(data: bytes) -> object:
    text, _, zone = as_text(data).partition("|")
    cron.check(text)
    cron.zone(zone or "UTC")
    return cron.next_after(text, zone or "UTC", 1_700_000_000_000)


def reads_schedule(data: bytes) -> object:
    schedule = schedules.schedule(payloads.decode(data))
    moment = schedule.next_after(1_700_000_000_000)
    return None if moment is None else schedule.value(moment)


def reads_moment(data: bytes) -> object:
    value = payloads.decode(data)
    with contextlib.suppress(PayloadRefused):
        assert moments.sayable(moments.length(value))
    found = moments.moment(value)
    return moments.text(found) if found >= 0 else None


def reads_duration(data: bytes) -> object:
    try:
        value = payloads.decode(data)
    except PayloadRefused:
        value = as_text(data)
    if not isinstance(value, str | int | float):
        value = as_text(data)
    assert duration.milliseconds(value, what="it") >= 0
    return value


def reads_expression(data: bytes) -> object:
    text, _, bound = as_text(data).partition("|")
    names: Any = {"a": {"b": [1, "x", None]}, "n": 2}
    if bound:
        names = {"a": payloads.decode(bound.encode("utf-8", "replace"))}
    told = list(expressions.mistakes(text, names))
    if told and len(text) > expressions.MOST_CHARACTERS:
        return told  # nobody computes it
    return payloads.encode(expressions.evaluate(text, names))


def reads_template(data: bytes) -> object:
    template = payloads.decode(data)
    list(templates.references(template))
    roots = {"input": {"a": [1, {"b": None}], "n": 3}, "steps": {}}
    bound = templates.bind(template, {"input": roots["input"]})
    payloads.encode(bound)
    return payloads.encode(templates.fill(template, roots))


def reads_schema(data: bytes) -> object:
    pair = payloads.decode(data)
    schema, value = pair[:2] if isinstance(pair, list) and len(pair) > 1 else (pair, pair)
    return Schema(schema).complete(value)


def reads_document(data: bytes) -> object:
    graph = documents.read(data, name="fuzz.yaml")
    assert read_graph(graph.canonical()) == graph
    return graph


def reads_definition(data: bytes) -> object:
    graph = read_graph(data)
    record = WorkflowDefinition(name=graph.name, version=graph.version, hash=sha256(data).hexdigest(), graph=data)
    return Definition.deployed(record, limits=DEFAULT_LIMITS, run_retention_ms=1_000)
