"""From a record of the requests or results topic to what the shard does with it. Nothing of a run is known here."""

from dataclasses import dataclass
from enum import Enum

from actionbus.contracts import headers, identifiers
from actionbus.contracts.errors import IdentifierRefused, RecordUnreadable
from actionbus.contracts.records import InRecord, OutRecord
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.contracts.results import ActionResult, ResultKind
from actionbus.engine.inputs import ChildReported, RequestMade, ResultReceived, StartRequested
from actionbus.kafka.partitioning import partition_for
from actionbus.orchestrator.charter import Charter


class Ignored(Enum):
    """Why a record changes nothing."""

    FORGED = "the nonce is not that of the command"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """It is for a run of this shard."""

    run_id: str
    event: StartRequested | RequestMade | ResultReceived | ChildReported


@dataclass(frozen=True, slots=True, kw_only=True)
class Astray:
    """It belongs to another shard."""

    partition: int
    record: OutRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """It is no record of ours, or names what cannot exist."""

    error: Exception


Reading = Accepted | Astray | Unreadable | Ignored


def read(charter: Charter, record: InRecord) -> Reading:
    """What a record is; whatever its bytes are, this raises nothing."""
    try:
        if record.topic == charter.topics.results:
            return _result(charter, record)
        return _request(charter, record)
    except (RecordUnreadable, IdentifierRefused) as error:
        return Unreadable(error=error)


def _result(charter: Charter, record: InRecord) -> Reading:
    result = charter.codec.decode(ActionResult, record.value)
    command = identifiers.parse_command_id(result.command_id)
    if not charter.genuine(result.command_id, result.nonce) or command.run_id != result.run_id:
        return Ignored.FORGED
    if result.kind is ResultKind.UNKNOWN:
        return Unreadable(error=RecordUnreadable("a result of a kind that this version does not know"))
    partition = partition_for(result.run_id.encode(), charter.partitions)
    if partition != charter.shard:
        return _astray(record, partition, result.run_id)
    return Accepted(run_id=result.run_id, event=ResultReceived(result=result, command=command))


def _request(charter: Charter, record: InRecord) -> Reading:
    request = charter.codec.decode(WorkflowRequest, record.value)
    key = identifiers.run_id(request.run_id).encode()
    partition = partition_for(key, charter.partitions)
    if partition != charter.shard:
        return _astray(record, partition, request.run_id)
    if request.kind is RequestKind.CHILD_REPORT:
        return _report(request)
    if request.kind is RequestKind.START or (request.kind is RequestKind.SIGNAL and request.workflow is not None):
        incarnation = identifiers.incarnation(record.offset)
        trace = charter.spans.beginning(f"{request.run_id}:{incarnation}", headers.trace_of(record))
        started = StartRequested(request=request, incarnation=incarnation, trace=trace)
        return Accepted(run_id=request.run_id, event=started)
    return Accepted(run_id=request.run_id, event=RequestMade(request=request))


def _report(request: WorkflowRequest) -> Reading:
    if request.parent is None or request.child is None:
        return Unreadable(error=RecordUnreadable("a child_report that names no parent or no child"))
    return Accepted(run_id=request.run_id, event=ChildReported(parent=request.parent, report=request.child))


def _astray(record: InRecord, partition: int, run_id: str) -> Astray:
    # The key becomes the run id, whatever it was: with another key it would come back to a wrong partition.
    return Astray(
        partition=partition, record=OutRecord(key=run_id.encode(), value=record.value, headers=record.headers)
    )
