"""Records that came as JSON, made whole again: payloads become bytes, times become milliseconds.

A payload means the same as the one in the log, but need not have its very bytes: spaces and the order of keys are lost.
"""

import types
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Union, cast, get_args, get_origin

from actionbus.contracts import payloads
from actionbus.contracts.events import WorkflowEvent
from actionbus.contracts.model import Record
from actionbus.contracts.run import WorkflowRun

_LINES: Final = frozenset({"gathered"})  # bytes that are no JSON as a whole, so that they came as text


def run(found: Mapping[str, Any]) -> WorkflowRun:
    """The run that the state of a run over HTTP is; raises pydantic's ValidationError for what is none."""
    return WorkflowRun.from_plain(_record(WorkflowRun, found))


def event(found: Mapping[str, Any]) -> WorkflowEvent:
    """The event that an item of a history over HTTP is."""
    at = milliseconds(found["at"])
    entries = [_dated(each, at) for each in found["entries"]]
    return WorkflowEvent.from_plain(_record(WorkflowEvent, {**found, "at": at, "entries": entries}))


def milliseconds(moment: str) -> int:
    """A moment as the log has it."""
    return round(datetime.fromisoformat(moment).timestamp() * 1000)


def _dated(entry: Mapping[str, Any], at: int) -> Mapping[str, Any]:
    decision = entry.get("decision")
    return entry if decision is None else {**entry, "decision": {"at": at, **decision}}


def _record(kind: type[Record], found: Mapping[str, Any]) -> dict[str, Any]:
    fields = kind.model_fields
    return {name: _value(fields[name].annotation, name, value) for name, value in found.items() if name in fields}


def _value(kind: Any, name: str, value: Any) -> Any:
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        inner = next(part for part in parts if part is not type(None))
        return None if value is None else _value(inner, name, value)
    if kind is bytes:
        return str(value).encode() if name in _LINES else payloads.encode(value)
    if origin is tuple:
        return tuple(_value(parts[0], name, each) for each in value)
    if origin is dict:
        return {key: _value(parts[1], name, each) for key, each in cast("dict[str, Any]", value).items()}
    if isinstance(kind, type) and issubclass(kind, Record):
        return _record(kind, value)
    return value
