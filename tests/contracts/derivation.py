"""What the schema of a model has to be, derived from the model: the oracle of test_schemas. It reads no .avsc file."""

import ast
import inspect
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from actionbus.contracts.model import Record

SCALARS = {str: "string", int: "long", bytes: "bytes", bool: "boolean"}


def schema_of(model: type[Record]) -> dict[str, Any]:
    """The whole Avro schema of a model; a named type is written out where it stands first, then named."""
    schema = _record(model, set())
    return {"type": schema.pop("type"), "name": schema.pop("name"), "namespace": "actionbus.v1", **schema}


def _record(model: type[Record], seen: set[str]) -> dict[str, Any]:
    seen.add(model.__name__)
    fields = [_field(name, field, seen) for name, field in model.model_fields.items()]
    return {"type": "record", "name": model.__name__, "doc": _one_line(model), "fields": fields}


def _field(name: str, field: FieldInfo, seen: set[str]) -> dict[str, Any]:
    made: dict[str, Any] = {"name": name, "type": _type(field.annotation, seen)}
    if not field.is_required():
        made["default"] = _plain(field.get_default(call_default_factory=True))
    return made | {"doc": field.description}


def _type(annotation: Any, seen: set[str]) -> Any:  # noqa: PLR0911 - a table of cases
    if annotation in SCALARS:
        return SCALARS[annotation]
    if get_origin(annotation) is UnionType:
        (some,) = [each for each in get_args(annotation) if each is not NoneType]
        return ["null", _type(some, seen)]
    if get_origin(annotation) is tuple:
        item, more = get_args(annotation)
        assert more is Ellipsis
        return {"type": "array", "items": _type(item, seen)}
    if get_origin(annotation) is dict:
        key, value = get_args(annotation)
        assert key is str
        return {"type": "map", "values": _type(value, seen)}
    if annotation.__name__ in seen:
        return annotation.__name__
    if issubclass(annotation, StrEnum):
        return _enum(annotation, seen)
    return _record(annotation, seen)


def _enum(kind: type[StrEnum], seen: set[str]) -> dict[str, Any]:
    seen.add(kind.__name__)
    sentences = member_docs(kind)
    doc = " ".join([_one_line(kind), *(f"{member.value}: {sentences[member.name]}" for member in kind)])
    symbols = [member.value for member in kind]
    return {"type": "enum", "name": kind.__name__, "doc": doc, "symbols": symbols, "default": symbols[0]}


def member_docs(kind: type[StrEnum]) -> dict[str, str]:
    """The sentence under each member of an enum, read from its source."""
    (definition,) = ast.parse(inspect.getsource(kind)).body
    assert isinstance(definition, ast.ClassDef)
    docs: dict[str, str] = {}
    name = ""
    for each in definition.body:
        if isinstance(each, ast.Assign) and isinstance(each.targets[0], ast.Name):
            name = each.targets[0].id
        elif isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant) and name:
            docs[name] = str(each.value.value)
    return docs


def _one_line(thing: type) -> str:
    return " ".join((inspect.getdoc(thing) or "").split())


def _plain(value: Any) -> Any:
    match value:
        case StrEnum():
            return value.value
        case tuple():
            return list(value)
        case _:
            return value


def nested(model: type[Record]) -> set[type]:
    """Every record and enum inside a model, itself included."""
    found: set[type] = {model}
    for field in model.model_fields.values():
        found |= _named(field.annotation)
    return found


def _named(annotation: Any) -> set[type]:
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return nested(annotation)
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return {annotation}
    return {each for part in get_args(annotation) if part is not Ellipsis for each in _named(part)}
