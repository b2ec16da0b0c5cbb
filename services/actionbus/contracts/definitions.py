"""What a workflow is: an immutable, versioned, content-hashed graph, and the record that carries it.

The graph is data. The Python SDK gives it, YAML and JSON can give it, and the engine reads nothing else. Its nodes are
described in ``nodes``, what follows their failures in ``decisions``, the values they hand on in ``templates``.
"""

from collections.abc import Iterator
from enum import StrEnum
from hashlib import sha256

from pydantic import Field, JsonValue, ValidationError

from actionbus.contracts import payloads
from actionbus.contracts.decisions import HEARTBEAT_LEAST_MS, RetryPolicy
from actionbus.contracts.errors import DefinitionRefused, PayloadRefused
from actionbus.contracts.limiting import LimitPolicy
from actionbus.contracts.model import Record
from actionbus.contracts.nodes import Node, SequenceNode
from actionbus.contracts.part import Part


class Effect(StrEnum):
    """How an action is made atomic."""

    IDEMPOTENT = "idempotent"
    """Runs at least once, with the same step key on every attempt."""
    TRANSACTIONAL = "transactional"
    """An inbox row in the same database transaction as the user's writes: exactly once."""
    HTTP = "http"
    """The step key is the idempotency key of a call over HTTP."""
    AT_MOST_ONCE = "at_most_once"
    """Never sent again once it may have begun."""


class KeyPolicy(StrEnum):
    """What the idempotency keys of calls over HTTP are made of."""

    STEP = "step"
    """The step key: all attempts ask for the same thing."""
    ATTEMPT = "attempt"
    """The command id: every attempt asks anew, for peers that answer a key with the failure that it had first."""


class Encoding(StrEnum):
    """How the commands of an action are written."""

    AVRO = "avro"
    """Avro with the framing of the installation."""
    JSON = "json"
    """JSON, for workers without Avro."""


class ActionSpec(Part):
    """What the orchestrator and the deployer must know of an action."""

    id: str
    description: str = ""
    effect: Effect = Effect.IDEMPOTENT
    store: str | None = Field(
        default=None,
        description="transactional, http, at_most_once: the name of the database of its writes or its journal.",
    )
    encoding: Encoding = Encoding.AVRO
    input_schema: JsonValue = Field(default_factory=dict)
    output_schema: JsonValue = Field(default_factory=dict)
    key: KeyPolicy = Field(default=KeyPolicy.STEP, description="http: what the idempotency keys are made of.")
    retry: RetryPolicy = RetryPolicy()
    start_to_close_ms: int = Field(default=60_000, gt=0)
    heartbeat_ms: int | None = Field(
        default=None,
        ge=HEARTBEAT_LEAST_MS,
        description="How long an attempt that began may say nothing; null: as long as it likes.",
    )
    emits: tuple[str, ...] = Field(default=(), description="Topics it may emit to.")
    limit: LimitPolicy | None = None
    safe_to_leave: bool = Field(
        default=False,
        description="Whether what it did may stay when a run is undone, because it only reads for example.",
    )

    @property
    def asks_once(self) -> bool:
        """Whether no attempt may follow one whose effect nobody knows: it could have the effect a second time."""
        anew = self.effect is Effect.HTTP and self.key is KeyPolicy.ATTEMPT
        return anew or self.effect is Effect.AT_MOST_ONCE


class Graph(Part):
    """A whole workflow as data."""

    name: str
    version: str
    description: str = ""
    input_schema: JsonValue = Field(default_factory=dict)
    output_schema: JsonValue = Field(default_factory=dict)
    root: SequenceNode
    output: JsonValue = Field(default=None, description="Template of the run's result.")
    actions: dict[str, ActionSpec]
    run_timeout_ms: int | None = Field(default=None, gt=0)
    saga: bool = Field(
        default=False,
        description="Refuse the graph unless all before its pivot can be undone and nothing after it fails for good.",
    )
    undo_retry: RetryPolicy = Field(
        default=RetryPolicy(attempts=None),
        description="How compensations are tried again: without limit, unless stated.",
    )
    limit: LimitPolicy | None = Field(default=None, description="How many of its runs may be under way.")
    searchable: dict[str, str | None] = Field(
        default_factory=dict[str, str | None],
        description="By what its runs can be found: names with CEL over `input`; null: what a run shows by that name.",
    )

    def canonical(self) -> bytes:
        """The one way to write this graph: canonical JSON."""
        return payloads.encode(self.model_dump(mode="json"))

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical form, hexadecimal."""
        return sha256(self.canonical()).hexdigest()

    def nodes(self) -> Iterator[tuple[str, Node, int]]:
        """Every node below the root with its static path and its depth (1: below the root), in reading order."""
        waiting: list[tuple[str, Node, int]] = [("", self.root, 0)]
        while waiting:
            path, node, depth = waiting.pop()
            if depth:
                yield path, node, depth
            below = [(f"{path}{suffix}".lstrip("."), each, depth + 1) for suffix, each in node.inside()]
            waiting.extend(reversed(below))


def read_graph(data: bytes) -> Graph:
    """Read a graph from JSON; raise DefinitionRefused with the place of every mistake."""
    try:
        return Graph.model_validate(payloads.decode(data))
    except PayloadRefused as error:
        raise DefinitionRefused(f"the graph is no JSON: {error}") from error
    except ValidationError as error:
        places = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise DefinitionRefused(f"the graph is not well formed: {places}") from error


class WorkflowDefinition(Record):
    """A deployed definition. Immutable: another hash under the same name and version is refused."""

    name: str = Field(description="The workflow's name.")
    version: str = Field(description="The version.")
    hash: str = Field(description="SHA-256 of graph, hexadecimal.")
    graph: bytes = Field(description="The canonical JSON of the graph.")
    deployed_at: int = Field(default=0, description="When it was deployed, epoch milliseconds by the deployer's clock.")
    deployed_by: str = Field(default="", description="Who deployed it, in words.")

    @classmethod
    def of(cls, graph: Graph, *, deployed_at: int, deployed_by: str) -> "WorkflowDefinition":
        """The record of a graph."""
        written = graph.canonical()
        return cls(
            name=graph.name,
            version=graph.version,
            hash=sha256(written).hexdigest(),
            graph=written,
            deployed_at=deployed_at,
            deployed_by=deployed_by,
        )
