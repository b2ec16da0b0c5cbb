"""One record of each schema as an example for readers of documents: the story of one run, in the JSON form."""

import json
from typing import Any, Final

from actionbus.contracts.commands import ActionCommand, ControlKind, WorkerControl
from actionbus.contracts.definitions import WorkflowDefinition
from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.contracts.model import Record
from actionbus.contracts.positions import ShardPosition
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.contracts.results import ActionResult, ResultKind
from actionbus.contracts.run import RunStatus, StepState, StepStatus, WorkflowRun
from actionbus.kafka import codec

AT: Final = 1_767_225_600_000  # 2026-01-01T00:00:00Z
TIME: Final = "2026-01-01T00:00:00.000Z"
TRACEPARENT: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
INPUT: Final = b'{"email":"ada@example.org"}'
NONCE: Final = "00112233445566778899aabbccddeeff"
KEY: Final = "signup-1:2s/send-mail"

EXAMPLES: Final[tuple[Record, ...]] = (
    WorkflowRequest(
        request_id="request-1",
        run_id="signup-1",
        kind=RequestKind.START,
        workflow="user-signup",
        payload=INPUT,
        requested_by="the web shop",
        requested_at=AT,
    ),
    ActionCommand(
        run_id="signup-1",
        workflow="user-signup",
        definition_version="1",
        command_id=f"{KEY}/1",
        step_key=KEY,
        step="send-mail",
        action="send-mail",
        attempt=1,
        input=INPUT,
        reply_topic="actionbus.workflow.results.v1",
        reply_partition=3,
        nonce=NONCE,
        issued_at=AT + 5,
    ),
    ActionResult(
        command_id=f"{KEY}/1",
        step_key=KEY,
        run_id="signup-1",
        kind=ResultKind.SUCCEEDED,
        nonce=NONCE,
        worker="worker-1",
        output=b'{"message_id":"m-1"}',
        started_at=AT + 8,
        finished_at=AT + 40,
    ),
    WorkflowRun(
        run_id="signup-1",
        workflow="user-signup",
        definition_version="1",
        incarnation="2s",
        definition_hash="ab" * 32,
        status=RunStatus.RUNNING,
        version=1,
        txn_seq=42,
        start_request_id="request-1",
        input=INPUT,
        steps=(
            StepState(
                path="send-mail", status=StepStatus.SCHEDULED, action="send-mail", attempt=1, dispatch_seq=42,
                scheduled_at=AT + 5, first_scheduled_at=AT + 5,
            ),
        ),
        trace=TRACEPARENT,
        created_at=AT + 5,
        updated_at=AT + 5,
    ),
    WorkflowEvent(
        run_id="signup-1",
        workflow="user-signup",
        definition_version="1",
        incarnation="2s",
        version=1,
        status=RunStatus.RUNNING,
        at=AT + 5,
        entries=(
            EventEntry(kind=EntryKind.REQUEST_ACCEPTED, request_id="request-1"),
            EventEntry(kind=EntryKind.RUN_STARTED, data=INPUT, request_id="request-1"),
            EventEntry(kind=EntryKind.STEP_SCHEDULED, step="send-mail", action="send-mail", attempt=1),
        ),
    ),
    WorkflowDefinition(
        name="user-signup", version="1", hash="cd" * 32, graph=b"{}", deployed_at=AT, deployed_by="ada@desk"
    ),
    ShardPosition(
        partitions=8, requests_offset=101, results_offset=200, txn_seq=42, dispatched_through=41, latest_time=AT + 5,
        owner="host-1/4711",
    ),
    WorkerControl(
        command_id=f"{KEY}/1", action="send-mail", kind=ControlKind.CANCEL, reason="the run was cancelled"
    ),
)  # fmt: skip
_IDS: Final = {
    "WorkflowRequest": ("client", "request-1"),
    "ActionCommand": ("orchestrator", f"{KEY}/1"),
    "ActionResult": ("worker", f"{KEY}/1/succeeded"),
    "WorkflowRun": ("orchestrator", "signup-1:2s/1"),
    "WorkflowEvent": ("orchestrator", "signup-1:2s/1"),
    "WorkflowDefinition": ("deployer", "user-signup@1"),
    "ShardPosition": ("orchestrator", "3/42"),
    "WorkerControl": ("orchestrator", f"{KEY}/1"),
}


def payload(record: str) -> dict[str, Any]:
    """The value of the example of a record."""
    return json.loads(codec.to_json(next(each for each in EXAMPLES if type(each).__name__ == record)))


def headers(record: str, content_type: str) -> dict[str, str]:
    """The headers of that example."""
    source, event_id = _IDS[record]
    return {
        "content-type": content_type,
        "ce_specversion": "1.0",
        "ce_type": f"actionbus.v1.{record}",
        "ce_source": f"/actionbus/{source}",
        "ce_id": event_id,
        "ce_time": TIME,
        "traceparent": TRACEPARENT,
    }
