"""A value template of a definition, looked through once: what it reads, and its bytes when it reads nothing."""

from dataclasses import dataclass
from typing import Self

from actionbus.contracts import payloads, templates
from actionbus.contracts.errors import PayloadRefused
from actionbus.contracts.limits import Limits
from actionbus.contracts.payloads import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A template and what is known of it before any run: which steps it reads, in order, and what else."""

    body: Json
    steps: tuple[str, ...]
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
            steps=tuple(dict.fromkeys(str(path[1]) for path in paths if path[0] == templates.STEPS and len(path) > 1)),
            reads_input=templates.INPUT in roots,
            reads_made=templates.MADE in roots,
            reads_error=templates.ERROR in roots,
            constant=None if roots else payloads.encode(templates.fill(body, {})),
        )


def sized(data: bytes, limits: Limits) -> bytes:
    """The same bytes; raises PayloadRefused when they are more than a payload may have."""
    if len(data) > limits.payload_bytes:
        raise PayloadRefused(f"{len(data)} bytes are more than {limits.payload_bytes}: pass a reference to it instead")
    return data
