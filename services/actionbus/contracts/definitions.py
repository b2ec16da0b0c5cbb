"""What a workflow is: an immutable, versioned, content-hashed graph, and the record that carries it.

The graph is data. The Python SDK gives it, YAML and JSON can give it, and the engine reads nothing else. Every kind of
node is one class here and one file in ``engine/shapes``; templates are described in ``templates``.
"""

from collections.abc import Iterator
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from actionbus.contracts import payloads
from actionbus.contracts.errors import DefinitionRefused
from actionbus.contracts.model import Record


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


class Encoding(StrEnum):
    """How the commands of an action are written."""

    AVRO = "avro"
    """Avro with the framing of the installation."""
    JSON = "json"
    """JSON, for workers without Avro."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RetryPolicy(_Part):
    """When a failed attempt is tried again. Times in milliseconds; attempts count the first one."""

    attempts: int | None = Field(default=5, ge=1, description="All attempts together; null: without limit.")
    initial_ms: int = Field(default=1_000, ge=0)
    factor: float = Field(default=2.0, ge=1)
    cap_ms: int = Field(default=60_000, ge=0)
    jitter: float = Field(default=0.1, ge=0, le=1, description="Share of the delay that the command id spreads it by.")
    delays_ms: tuple[int, ...] | None = Field(
        default=None, description="Explicit delays instead; their number limits the attempts."
    )


class Call(_Part):
    """An action with the template of its input."""

    action: str
    input: JsonValue


class Retry(_Part):
    """Try again by this policy; when it is used up, the next rule decides."""

    kind: Literal["retry"] = "retry"
    policy: RetryPolicy


class Fallback(_Part):
    """Do something else instead; its output becomes the step's output."""

    kind: Literal["fallback"] = "fallback"
    call: Call


class ContinueWith(_Part):
    """Go on as if the step had given this value."""

    kind: Literal["continue_with"] = "continue_with"
    value: JsonValue


class Compensate(_Part):
    """Undo the run and end it FAILED."""

    kind: Literal["compensate"] = "compensate"


class Fail(_Part):
    """End the run FAILED at once and undo nothing but the failed step itself."""

    kind: Literal["fail"] = "fail"


Resolution = Annotated[Retry | Fallback | ContinueWith | Compensate | Fail, Field(discriminator="kind")]


class Rule(_Part):
    """What follows a failure. Rules are tried in order; a rule whose retries are used up is passed over."""

    error_type: str | None = Field(default=None, description="The error type it is for; null: any.")
    then: Resolution


class StepNode(_Part):
    """One use of an action."""

    kind: Literal["step"] = "step"
    id: str
    call: Call
    undo: Call | None = None
    retry: RetryPolicy | None = Field(default=None, description="Null: the action's own policy.")
    rules: tuple[Rule, ...] = ()
    start_to_close_ms: int | None = Field(
        default=None, gt=0, description="Limit of one attempt; null: the action's own."
    )
    schedule_to_close_ms: int | None = Field(default=None, gt=0, description="Limit of all attempts together.")


class EmitNode(_Part):
    """A record that the orchestrator publishes in the transaction that reaches this node."""

    kind: Literal["emit"] = "emit"
    id: str
    topic: str
    key: JsonValue = None
    value: JsonValue = None


class SequenceNode(_Part):
    """Nodes one after the other."""

    kind: Literal["sequence"] = "sequence"
    id: str
    nodes: tuple["Node", ...]


Node = Annotated[StepNode | EmitNode | SequenceNode, Field(discriminator="kind")]


class ActionSpec(_Part):
    """What the orchestrator and the deployer must know of an action."""

    id: str
    description: str = ""
    effect: Effect = Effect.IDEMPOTENT
    store: str | None = Field(default=None, description="transactional: the name of the database it writes to.")
    encoding: Encoding = Encoding.AVRO
    input_schema: JsonValue = Field(default_factory=dict)
    output_schema: JsonValue = Field(default_factory=dict)
    retry: RetryPolicy = RetryPolicy()
    start_to_close_ms: int = Field(default=60_000, gt=0)
    emits: tuple[str, ...] = Field(default=(), description="Topics it may emit to.")


class Graph(_Part):
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
    undo_retry: RetryPolicy = Field(
        default=RetryPolicy(attempts=None),
        description="How compensations are tried again: without limit, unless stated.",
    )

    def canonical(self) -> bytes:
        """The one way to write this graph: canonical JSON."""
        return payloads.encode(self.model_dump(mode="json"))

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical form, hexadecimal."""
        return sha256(self.canonical()).hexdigest()

    def nodes(self) -> Iterator[tuple[str, "StepNode | EmitNode | SequenceNode", int]]:
        """Every node below the root with its path and its depth (1: directly below the root), in reading order."""
        yield from _below("", self.root, 1)


def _below(
    prefix: str, scope: SequenceNode, depth: int
) -> Iterator[tuple[str, StepNode | EmitNode | SequenceNode, int]]:
    for node in scope.nodes:
        path = f"{prefix}.{node.id}" if prefix else node.id
        yield path, node, depth
        if isinstance(node, SequenceNode):
            yield from _below(path, node, depth + 1)


def read_graph(data: bytes) -> Graph:
    """Read a graph from JSON; raise DefinitionRefused with the place of every mistake."""
    try:
        return Graph.model_validate(payloads.decode(data))
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
        return cls(
            name=graph.name,
            version=graph.version,
            hash=graph.hash,
            graph=graph.canonical(),
            deployed_at=deployed_at,
            deployed_by=deployed_by,
        )
