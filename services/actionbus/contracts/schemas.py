"""The Avro schemas, read once, each bound to the model of the same name."""

import json
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


@cache
def raw(model: type[Record]) -> dict[str, Any]:
    """The schema of a model as it stands in its file."""
    return json.loads(resources.read("schemas", FILES[model]))


@cache
def parsed(model: type[Record]) -> Any:
    """The schema of a model, prepared for fastavro."""
    return fastavro.parse_schema(raw(model))


@cache
def rabin(model: type[Record]) -> bytes:
    """The CRC-64-AVRO fingerprint of the schema's parsing canonical form: 8 bytes, little-endian.

    Source: Avro specification 1.12, "Schema Fingerprints" and "Single-object encoding".
    """
    return bytes.fromhex(fingerprint(to_parsing_canonical_form(raw(model)), "CRC-64-AVRO"))
