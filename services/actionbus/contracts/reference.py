"""The reference pages that are derived from the contracts: topics, schemas and definitions.

``python -m actionbus.contracts.reference docs/reference`` writes them.
"""

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from actionbus.contracts import schemas
from actionbus.contracts.definitions import Graph
from actionbus.contracts.model import Record
from actionbus.contracts.topics import DEFAULT_PREFIX, PER_ACTION, PER_SHARD, TopicSpec, catalogue

_DERIVED: Final = "<!-- derived from {source} by `python -m actionbus.contracts.reference`; do not edit -->"
_PARTITIONS: Final = {PER_SHARD: "as many as shards", PER_ACTION: "chosen per action"}


def topics_page() -> str:
    """docs/reference/topics.md."""
    lines = [
        "# Topics",
        _DERIVED.format(source="topics/catalogue.yaml"),
        "",
        f"`{{prefix}}` is `{DEFAULT_PREFIX}` unless `ACTIONBUS_PREFIX` says otherwise.",
        "The partition of a key is murmur2(key) mod partitions, as Java, franz-go, kafkajs and aiokafka do by default.",
        "A request or result that lands on another partition is moved to the right one, and counted.",
        "`actionbus topics plan` compares a cluster with this page, `actionbus topics apply` makes it so.",
        "",
        "| topic | key | record | partitions | cleanup |",
        "| --- | --- | --- | --- | --- |",
    ]
    specs = catalogue().topics
    lines += [
        f"| `{each.name}` | {each.key} | {_record(each)} | {_partitions(each)} | {each.config['cleanup.policy']} |"
        for each in specs
    ]
    for each in specs:
        lines += ["", f"## {each.role}", "", each.purpose, "", "| setting | value |", "| --- | --- |"]
        lines += [f"| `{name}` | `{value}` |" for name, value in each.config.items()]
    return "\n".join(lines) + "\n"


def _shared() -> Iterator[str]:
    if names := [f"`{model.__name__}`" for model in schemas.MODELS if schemas.shared(model)]:
        yield (
            f"A {', '.join(names[:-1])} or {names[-1]} that needs nothing newer has the fingerprint of its schema in "
            f"`schemas/released/{schemas.BEFORE}` instead, so that processes of {schemas.BEFORE} read it."
        )


def schemas_page() -> str:
    """docs/reference/schemas.md."""
    lines = [
        "# Schemas",
        _DERIVED.format(source="schemas/*.avsc"),
        "",
        "Records are Avro with single-object framing: `C3 01`, the fingerprint below, the datum.",
        *_shared(),
        "Requests and results may be JSON instead, with the header `content-type: application/json`.",
        "A field with a default may be left out there, and an unknown field is ignored.",
    ]
    for model in schemas.MODELS:
        lines += _schema(model)
    return "\n".join(lines) + "\n"


def definition_page() -> str:
    """docs/reference/definition.schema.json: what a document that holds a workflow may say."""
    schema = Graph.model_json_schema(by_alias=True)
    return json.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema, indent=2) + "\n"


PAGES: Final[dict[str, Callable[[], str]]] = {
    "topics.md": topics_page,
    "schemas.md": schemas_page,
    "definition.schema.json": definition_page,
}


def main(arguments: Sequence[str]) -> None:
    """Write every page into the folder that is named."""
    (folder,) = arguments
    for name, page in PAGES.items():
        (Path(folder) / name).write_text(page(), encoding="utf-8")


def _record(spec: TopicSpec) -> str:
    return "as found" if spec.record is None else f"[{spec.record}](schemas.md#{spec.record.lower()})"


def _partitions(spec: TopicSpec) -> str:
    return _PARTITIONS.get(str(spec.partitions), str(spec.partitions))


def _schema(model: type[Record]) -> Iterator[str]:
    schema = schemas.raw(model)
    yield from ("", f"## {schema['name']}", "", schema["doc"], "")
    yield f"File `schemas/{schemas.FILES[model]}`, fingerprint `{schemas.rabin(model).hex(' ')}`."
    yield from _fields(schema)
    for inner in _inner(schema):
        yield from ("", f"### {inner['name']}", "", inner["doc"])
        if inner["type"] == "record":
            yield from _fields(inner)


def _fields(schema: dict[str, Any]) -> Iterator[str]:
    yield from ("", "| field | type | default | meaning |", "| --- | --- | --- | --- |")
    for field in schema["fields"]:
        default = f"`{json.dumps(field['default'])}`" if "default" in field else ""
        yield f"| `{field['name']}` | {_type(field['type'])} | {default} | {field['doc']} |"


def _type(kind: Any) -> str:
    if isinstance(kind, list):
        return " or ".join(_type(each) for each in kind)
    said = str(kind)
    if isinstance(kind, dict):
        match kind["type"]:
            case "array":
                said = f"list of {_type(kind['items'])}"
            case "map":
                said = f"map of {_type(kind['values'])}"
            case "enum":
                said = ", ".join(f"`{symbol}`" for symbol in kind["symbols"])
            case _:
                said = str(kind["name"])
    return said


def _inner(kind: Any) -> Iterator[dict[str, Any]]:
    """Records and enums below a schema, in reading order; Avro defines a name once, at its first use."""
    if isinstance(kind, list):
        for each in kind:
            yield from _inner(each)
        return
    if not isinstance(kind, dict):
        return
    parts = [field["type"] for field in kind.get("fields", [])] + [kind.get("items"), kind.get("values")]
    for part in parts:
        for each in part if isinstance(part, list) else [part]:
            if isinstance(each, dict) and each["type"] in ("record", "enum"):
                yield each
            yield from _inner(each)


if __name__ == "__main__":
    main(sys.argv[1:])
