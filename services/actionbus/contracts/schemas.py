"""The Avro schemas, read once, each bound to the model of the same name, and those of every released version."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import fastavro
from fastavro.schema import fingerprint, to_parsing_canonical_form

from actionbus.contracts import resources
from actionbus.contracts.commands import ActionCommand, WorkerControl
from actionbus.contracts.definitions import WorkflowDefinition
from actionbus.contracts.events import WorkflowEvent
from actionbus.contracts.model import Record
from actionbus.contracts.positions import ShardPosition
from actionbus.contracts.requests import WorkflowRequest
from actionbus.contracts.results import ActionResult
from actionbus.contracts.run import WorkflowRun

MODELS: Final[tuple[type[Record], ...]] = (
    WorkflowRequest,
    ActionCommand,
    ActionResult,
    WorkflowRun,
    WorkflowEvent,
    WorkflowDefinition,
    ShardPosition,
    WorkerControl,
)
FILES: Final[dict[type[Record], str]] = {
    WorkflowRequest: "workflow-request.avsc",
    ActionCommand: "action-command.avsc",
    ActionResult: "action-result.avsc",
    WorkflowRun: "workflow-run.avsc",
    WorkflowEvent: "workflow-event.avsc",
    WorkflowDefinition: "workflow-definition.avsc",
    ShardPosition: "shard-position.avsc",
    WorkerControl: "worker-control.avsc",
}
RELEASED: Final = "schemas/released"  # a folder for each version, with its schemas as they were
BEFORE: Final = "0.2.0"  # the release that this version works beside while an installation is upgraded


@cache
def raw(model: type[Record]) -> dict[str, Any]:
    """The schema of a model as it stands in its file."""
    return json.loads(resources.read("schemas", FILES[model]))


@cache
def parsed(model: type[Record]) -> Any:
    """The schema of a model, prepared for fastavro."""
    return fastavro.parse_schema(raw(model))


@cache
def part(model: type[Record], names: tuple[str, ...]) -> Any:
    """The schema of a model with only some of its fields, for readers that need no more."""
    whole = raw(model)
    fields = [each for each in whole["fields"] if each["name"] in names]
    return fastavro.parse_schema(_whole({**whole, "fields": fields}, dict(_named(whole)), set()))


def _named(schema: Any) -> Iterator[tuple[str, Any]]:
    """Every type with a name inside a schema, with its definition."""
    match schema:
        case {"type": "record" | "enum", "name": name}:
            yield name, schema
            for field in schema.get("fields", ()):
                yield from _named(field["type"])
        case {"items": inner} | {"values": inner}:
            yield from _named(inner)
        case list():
            for each in schema:
                yield from _named(each)
        case _:
            pass


def _whole(schema: Any, known: dict[str, Any], defined: set[str]) -> Any:  # noqa: PLR0911 - a table of cases
    """The schema with every type defined where its name stands first, wherever that was in the one it is cut from."""
    match schema:
        case str() if schema in known and schema not in defined:
            return _whole(known[schema], known, defined)
        case {"type": "record" | "enum", "name": name} if name in defined:
            return name
        case {"type": "record" | "enum", "name": name}:
            defined.add(name)
            fields = [{**each, "type": _whole(each["type"], known, defined)} for each in schema.get("fields", ())]
            return {**schema, "fields": fields} if fields else schema
        case {"items": inner}:
            return {**schema, "items": _whole(inner, known, defined)}
        case {"values": inner}:
            return {**schema, "values": _whole(inner, known, defined)}
        case list():
            return [_whole(each, known, defined) for each in schema]
        case _:
            return schema


@cache
def rabin(model: type[Record]) -> bytes:
    """The fingerprint of a model's schema."""
    return rabin_of(raw(model))


def rabin_of(schema: Any) -> bytes:
    """The CRC-64-AVRO fingerprint of a schema's parsing canonical form: 8 bytes, little-endian.

    Source: Avro specification 1.12, "Schema Fingerprints" and "Single-object encoding".
    """
    return bytes.fromhex(fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """A schema as a released version wrote it."""

    version: str
    model: type[Record]
    raw: dict[str, Any]

    @property
    def parsed(self) -> Any:
        """Prepared for fastavro."""
        return fastavro.parse_schema(self.raw)

    @property
    def rabin(self) -> bytes:
        """Its fingerprint."""
        return rabin_of(self.raw)


@cache
def released() -> tuple[Released, ...]:
    """Every schema of every released version; a model that came later is missing in the older ones."""
    found: list[Released] = []
    for version in resources.folders(RELEASED):
        names = set(resources.names(f"{RELEASED}/{version}"))
        for model in MODELS:
            if FILES[model] in names:
                text = resources.read(f"{RELEASED}/{version}", FILES[model])
                found.append(Released(version=version, model=model, raw=json.loads(text)))
    return tuple(found)


@cache
def shared(model: type[Record]) -> Released | None:
    """The schema of the release before, where all that this version adds to it is members of enums.

    What needs none of these can be said by either, and is said so that both understand it.
    """
    for old in released():
        if (old.version, old.model) == (BEFORE, model) and old.rabin != rabin(model):
            return old if _without_symbols(old.raw) == _without_symbols(raw(model)) else None
    return None


def _without_symbols(schema: Any) -> Any:
    match schema:
        case {**fields}:
            kept = {name: value for name, value in fields.items() if name not in {"doc", "symbols"}}
            return {name: _without_symbols(value) for name, value in kept.items()}
        case list():
            return [_without_symbols(each) for each in schema]
        case _:
            return schema
