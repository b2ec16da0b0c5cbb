"""Outcomes as they stand in rows of a store: JSON, from which a later delivery is answered."""

from base64 import b64decode, b64encode
from typing import Any

from actionbus.contracts import payloads
from actionbus.contracts.results import ActionError, Emit
from actionbus.worker.outcomes import Deferred, Done, Failed, InDoubt, Outcome


def write(outcome: Outcome) -> str:
    """An outcome as JSON: output and emits, emits alone where somebody else answers, an error, or a doubt."""
    match outcome:
        case Done(output=output, emits=emits):
            stored = {"output": payloads.decode(output), "emits": [_emit(each) for each in emits]}
        case Deferred(emits=emits):
            stored = {"emits": [_emit(each) for each in emits]}
        case Failed(error=error):
            stored = {"error": _error(error)}
        case InDoubt(error=error):
            stored = {"doubt": _error(error)}
    return payloads.encode(stored).decode()


def read(text: str) -> Outcome:
    """The outcome in a row; it was not brought about anew."""
    stored = payloads.decode(text.encode())
    if "error" in stored:
        return Failed(error=_read_error(stored["error"]), repeated=True)
    if "doubt" in stored:
        return InDoubt(error=_read_error(stored["doubt"]), repeated=True)
    emits = _read_emits(stored["emits"])
    if "output" not in stored:
        return Deferred(emits=emits, repeated=True)
    return Done(output=payloads.encode(stored["output"]), emits=emits, repeated=True)


def _error(error: ActionError) -> dict[str, Any]:
    details = None if error.details is None else payloads.decode(error.details)
    return error.model_dump(exclude={"details"}) | {"details": details}


def _emit(emit: Emit) -> dict[str, Any]:
    return {
        "topic": emit.topic,
        "key": _base64(emit.key),
        "value": _base64(emit.value),
        "headers": {name: _base64(value) for name, value in emit.headers.items()},
    }


def _base64(data: bytes | None) -> str | None:
    return None if data is None else b64encode(data).decode()


def _bytes(text_: str | None) -> bytes | None:
    return None if text_ is None else b64decode(text_)


def _read_emits(stored: list[dict[str, Any]]) -> tuple[Emit, ...]:
    return tuple(
        Emit(
            topic=each["topic"],
            key=_bytes(each["key"]),
            value=_bytes(each["value"]),
            headers={name: b64decode(value) for name, value in each["headers"].items()},
        )
        for each in stored
    )


def _read_error(stored: dict[str, Any]) -> ActionError:
    details = stored.pop("details", None)
    return ActionError(**stored, details=None if details is None else payloads.encode(details))
