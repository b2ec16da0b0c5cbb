"""A value template of a definition, looked through once: what it reads, and its bytes when it reads nothing."""

from dataclasses import dataclass
from typing import Self

from actionbus.contracts import payloads, templates
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.limits import Limits
from actionbus.contracts.payloads import Json
from actionbus.contracts.validation import Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A template and what is known of it before any run: which steps and scopes it reads, and what else."""

    body: Json
    steps: tuple[str, ...]
    scopes: tuple[str, ...]
    reads_input: bool
    reads_made: bool
    reads_error: bool
    constant: bytes | None

    @classmethod
    def of(cls, body: Json) -> Self:
        """Look a template through."""
        paths = list(templates.references(body))
        roots = {path[0] for path in paths}
        return cls(
            body=body,
            steps=_named(paths, templates.STEPS),
            scopes=_named(paths, templates.SCOPE),
            reads_input=templates.INPUT in roots,
            reads_made=templates.MADE in roots,
            reads_error=templates.ERROR in roots,
            constant=None if roots else _constant(body),
        )

    @classmethod
    def maybe(cls, body: Json) -> Self | None:
        """The same, where null means that there is no template."""
        return None if body is None else cls.of(body)


def _named(paths: list[templates.Path], root: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(path[1]) for path in paths if path[0] == root and len(path) > 1))


def _constant(body: Json) -> bytes | None:
    try:
        return payloads.encode(templates.fill(body, {}))
    except PayloadRefused:  # an expression without a value: whoever fills it is told so
        return None


def sized(data: bytes, limits: Limits) -> bytes:
    """The same bytes; raises PayloadRefused when they are more than a payload may have."""
    if len(data) > limits.payload_bytes:
        raise PayloadRefused(f"{len(data)} bytes are more than {limits.payload_bytes}: pass a reference to it instead")
    return data


def fitting(data: bytes | None, schema: Schema, limits: Limits) -> tuple[Json, bytes]:
    """What somebody gave, nothing meaning null, with its defaults, as a value and as canonical JSON.

    Raises PayloadRefused when it is no JSON, does not fit the schema, or is more than a payload may have.
    """
    value = schema.complete(payloads.decode(data if data is not None else b"null"))
    return value, sized(payloads.encode(value), limits)
