"""The parts of a type that a workflow may name: fields of models, keys of dictionaries, items of lists."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Final,
    NewType,
    NotRequired,
    Required,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from pydantic import BaseModel
from typing_extensions import TypeAliasType, is_typeddict

from actionbus.contracts.errors import DefinitionRefused
from actionbus.sdk import schema

Key = str | int


@dataclass(frozen=True, slots=True)
class Member:
    """A part of a value: where it stands in the JSON, and its type. No key: it stands in the value's own place."""

    key: Key | None
    annotation: Any


def attribute(annotation: Any, name: str) -> Member:
    """What ``value.name`` is; raise DefinitionRefused, naming what there is, when there is no such field."""
    kind = bare(annotation)
    if kind is Any:
        return Member(name, Any)
    if _optional(kind) is not None:
        raise DefinitionRefused(f"it may be None ({schema.shown(annotation)}), so .{name} may not be there: {_SETTLE}")
    if _choice(kind):
        return _common(annotation, [attribute(each, name) for each in get_args(kind)], f".{name}")
    fields = _fields(kind)
    if name in fields:
        return fields[name]
    if is_typeddict(_origin(kind)) or _below(kind, Mapping):
        raise DefinitionRefused(f"{schema.shown(annotation)} has keys, not fields: write [{name!r}]")
    if not fields:
        raise DefinitionRefused(f"{schema.shown(annotation)} has no field {name}: {_COMPUTE}")
    raise DefinitionRefused(f"{schema.shown(annotation)} has no field {name}; it has {', '.join(fields)}")


def named(model: Any, name: str) -> Member:
    """A field by the name that the model's own constructor takes: its alias, or its name."""
    fields = _fields(bare(model))
    return next((each for each in fields.values() if each.key == name), None) or attribute(model, name)


def item(annotation: Any, key: object) -> Member:
    """What ``value[key]`` is; raise DefinitionRefused when there is no such item."""
    kind = bare(annotation)
    if not isinstance(key, (str, int)) or isinstance(key, bool):
        raise DefinitionRefused(f"[{key!r}]: an item is named by a text or a number that is known now; {_COMPUTE}")
    if kind is Any:
        return Member(key, Any)
    if _optional(kind) is not None:
        raise DefinitionRefused(
            f"it may be None ({schema.shown(annotation)}), so [{key!r}] may not be there: {_SETTLE}"
        )
    if _choice(kind):
        return _common(annotation, [item(each, key) for each in get_args(kind)], f"[{key!r}]")
    found = _keyed(kind, key) if isinstance(key, str) else _indexed(kind, key)
    if found is None:
        raise DefinitionRefused(f"{schema.shown(annotation)} has no item [{key!r}]{_known(kind)}")
    return found


_SETTLE: Final = "pass the whole value to an action and settle it there"
_COMPUTE: Final = "what is computed belongs into an action"


def bare(annotation: Any) -> Any:
    """A type without its wrapping: annotations, aliases, new types, type variables."""
    while True:
        if isinstance(annotation, TypeVar):
            return Any
        if isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        elif isinstance(annotation, TypeAliasType):
            annotation = annotation.__value__
        elif get_origin(annotation) in (Annotated, Required):
            annotation = get_args(annotation)[0]
        else:
            return Any if annotation is object else annotation


def _below(kind: Any, parent: type) -> bool:
    """Whether a type, possibly with arguments, is a class below another."""
    origin = _origin(kind)
    return isinstance(origin, type) and issubclass(origin, parent)


def _origin(kind: Any) -> Any:
    return get_origin(kind) or kind


def _choice(kind: Any) -> bool:
    return get_origin(kind) in (Union, UnionType)


def _optional(kind: Any) -> Any:
    return kind if _choice(kind) and NoneType in get_args(kind) else None


def _common(annotation: Any, found: list[Member], written: str) -> Member:
    """A part that every alternative has, in the same place."""
    keys = {each.key for each in found}
    if len(keys) != 1:
        raise DefinitionRefused(f"{written} stands elsewhere in each of {schema.shown(annotation)}: {_COMPUTE}")
    return Member(keys.pop(), Union[tuple(each.annotation for each in found)])  # noqa: UP007 - made at run time


def _fields(kind: Any) -> dict[str, Member]:
    origin = _origin(kind)
    if isinstance(origin, type) and issubclass(origin, BaseModel):
        return _model_fields(origin)
    if dataclasses.is_dataclass(origin):
        hints = get_type_hints(origin, include_extras=True)
        return {each.name: Member(each.name, hints[each.name]) for each in dataclasses.fields(origin)}
    if isinstance(origin, type) and issubclass(origin, tuple) and hasattr(origin, "_fields"):
        hints = get_type_hints(origin, include_extras=True)
        names: tuple[str, ...] = getattr(origin, "_fields")  # noqa: B009 - a NamedTuple's public list, unknown to checkers

        return {name: Member(index, hints.get(name, Any)) for index, name in enumerate(names)}
    return {}


def _model_fields(model: type[BaseModel]) -> dict[str, Member]:
    if model.__pydantic_root_model__:
        return {"root": Member(None, model.model_fields["root"].annotation)}
    fields = {
        name: Member(each.serialization_alias or each.alias or name, each.annotation)
        for name, each in model.model_fields.items()
    }
    computed = {
        name: Member(each.alias or name, each.return_type) for name, each in model.model_computed_fields.items()
    }
    return fields | computed


def _keyed(kind: Any, key: str) -> Member | None:
    origin = _origin(kind)
    if is_typeddict(origin):
        hints = get_type_hints(origin, include_extras=True)
        if key in hints and key not in origin.__required_keys__:
            raise DefinitionRefused(f"{schema.shown(kind)} may be without [{key!r}]: {_SETTLE}")
        inner = hints.get(key)
        return None if inner is None else Member(key, get_args(inner)[0] if get_origin(inner) is NotRequired else inner)
    if _below(kind, Mapping):
        arguments = get_args(kind)
        return Member(key, arguments[1] if arguments else Any)
    return None


def _indexed(kind: Any, index: int) -> Member | None:
    if index < 0:
        raise DefinitionRefused(f"[{index}]: items are counted from the front; {_COMPUTE}")
    arguments = get_args(kind)
    if _below(kind, tuple) and not hasattr(_origin(kind), "_fields"):
        if len(arguments) == 2 and arguments[1] is Ellipsis:  # noqa: PLR2004 - tuple[T, ...]
            return Member(index, arguments[0])
        return Member(index, arguments[index]) if index < len(arguments) else None
    if _below(kind, Sequence) and kind not in (str, bytes):
        return Member(index, arguments[0] if arguments else Any)
    return None


def _known(kind: Any) -> str:
    if is_typeddict(_origin(kind)):
        return f"; it has {', '.join(get_type_hints(_origin(kind)))}"
    fields = _fields(kind)
    return f": write .{next(iter(fields))} for a field" if fields else f": {_COMPUTE}"
