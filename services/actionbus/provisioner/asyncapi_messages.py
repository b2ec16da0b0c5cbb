"""The messages of the AsyncAPI document: each record with its headers, key, content type and an example."""

from collections.abc import Iterator
from typing import Any, Final

from actionbus.contracts import schemas
from actionbus.contracts.dead_letters import PREFIX
from actionbus.contracts.definitions import Encoding
from actionbus.contracts.topics import TopicRole, catalogue
from actionbus.provisioner import asyncapi_examples
from actionbus.provisioner.topics import Wanted

BINDING: Final = "0.5.0"
AVRO: Final = "application/vnd.apache.avro+json;version=1.9.0"
CONTENT_TYPES: Final = {Encoding.AVRO: "application/avro", Encoding.JSON: "application/json"}
JSON_TOO: Final = (TopicRole.REQUESTS, TopicRole.RESULTS)  # where a foreign client may write JSON
_TRACEPARENT: Final = "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"
_DEAD_LETTER: Final = (
    "original-topic",
    "original-partition",
    "original-offset",
    "original-timestamp",
    "original-group",
    "exception-type",
    "exception-message",
    "truncated",
)


def messages(wanted: Wanted, registry: str | None) -> Iterator[tuple[str, Any]]:
    """The messages, for each action one of its own; ``registry``: whose framing values have, if any."""
    framing = {} if registry is None else {"schemaIdLocation": "payload", "schemaIdPayloadEncoding": "confluent"}
    bindings = {"kafka": {"key": {"type": "string"}, **framing, "bindingVersion": BINDING}}
    for model in schemas.MODELS:
        name = model.__name__
        for action in wanted.actions if name == "ActionCommand" else ():
            made = _message(name, bindings, encoding=action.encoding)
            known = {"x-input": f"{action.id}.input", "x-output": f"{action.id}.output"}
            made |= {key: {"$ref": f"#/components/schemas/{ref}"} for key, ref in known.items()}
            yield f"{name}.{action.id}", {**made, "title": f"What {action.id} is to do"}
        if name != "ActionCommand" or not wanted.actions:
            yield name, _message(name, bindings)
    for role in JSON_TOO:
        record = catalogue().spec(role).record or ""
        yield f"{record}.json", _message(record, bindings, encoding=Encoding.JSON)
    yield (
        "dead-letter",
        {
            "title": "A record as it was found",
            "summary": "Key, value and headers untouched, with headers that say where it was and what was wrong.",
            "headers": {"$ref": "#/components/schemas/dead-letter-headers"},
            "payload": {},
            "contentType": "application/octet-stream",
            "bindings": {"kafka": {"bindingVersion": BINDING}},
        },
    )
    if emitted(wanted):
        yield (
            "emitted",
            {
                "title": "What an action emits",
                "summary": "Key, value and headers are the action's; without a key it is the run id.",
                "payload": {},
                "bindings": {"kafka": {"key": {"type": "string"}, "bindingVersion": BINDING}},
            },
        )


def _message(record: str, bindings: dict[str, Any], encoding: Encoding = Encoding.AVRO) -> dict[str, Any]:
    model = next(each for each in schemas.MODELS if each.__name__ == record)
    plain = encoding is Encoding.JSON
    framed = "Confluent's" if "schemaIdLocation" in bindings["kafka"] else "single-object (C3 01, fingerprint, datum)"
    form = "the JSON form: payloads stand inline" if plain else f"{framed} framing of Avro"
    return {
        "name": f"actionbus.v1.{record}",
        "title": record,
        "summary": f"{schemas.raw(model)['doc']} The value is {form}.",
        "contentType": CONTENT_TYPES[encoding],
        "headers": {"$ref": f"#/components/schemas/{record}.headers"},
        "payload": {"schemaFormat": AVRO, "schema": schemas.raw(model)},
        "bindings": bindings,
        "examples": [
            {
                "name": record,
                "summary": "In the JSON form, for people.",
                "headers": asyncapi_examples.headers(record, CONTENT_TYPES[encoding]),
                "payload": asyncapi_examples.payload(record),
            }
        ],
    }


def parts(wanted: Wanted) -> Iterator[tuple[str, Any]]:
    """The schemas of headers, and of what the actions take and give."""
    text_of = {"type": "string"}
    for model in schemas.MODELS:
        name = model.__name__
        yield (
            f"{name}.headers",
            {
                "type": "object",
                "description": "CloudEvents 1.0 in Kafka's binary mode, and W3C trace context. All are hints.",
                "properties": {
                    "content-type": {"type": "string", "enum": list(CONTENT_TYPES.values())},
                    "ce_specversion": {"type": "string", "const": "1.0"},
                    "ce_type": {"type": "string", "const": f"actionbus.v1.{name}"},
                    "ce_source": text_of,
                    "ce_id": text_of,
                    "ce_time": {"type": "string", "format": "date-time"},
                    "traceparent": {"type": "string", "pattern": _TRACEPARENT},
                    "tracestate": {"type": "string", "maxLength": 512},
                },
            },
        )
    yield (
        "dead-letter-headers",
        {
            "type": "object",
            "properties": {f"{PREFIX}{what}": text_of for what in _DEAD_LETTER},
        },
    )
    for action in wanted.actions:
        for what, found in (("input", action.input_schema), ("output", action.output_schema)):
            name = f"{action.id}.{what}"
            yield name, {"description": f"The {what} of {action.id}.", **_moved(found, name)}


def _moved(found: Any, name: str) -> Any:
    """A schema of an action, with its references to its own definitions as they are reached in the document."""
    if isinstance(found, list):
        return [_moved(each, name) for each in found]
    if not isinstance(found, dict):
        return found
    moved: dict[str, Any] = {}
    for key, value in found.items():
        if key == "$ref" and isinstance(value, str):
            moved[key] = value.replace("#/$defs/", f"#/components/schemas/{name}/definitions/")
        else:
            moved["definitions" if key == "$defs" else key] = _moved(value, name)
    return moved


def emitted(wanted: Wanted) -> dict[str, list[str]]:
    """The topics that actions emit to, with the ids of those actions."""
    found: dict[str, list[str]] = {}
    for action in wanted.actions:
        for topic in action.emits:
            found.setdefault(topic, []).append(action.id)
    return dict(sorted(found.items()))
