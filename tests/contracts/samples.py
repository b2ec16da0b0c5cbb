"""One full record of each schema, every field set, and hypothesis strategies for any record. No test lives here."""

from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

from hypothesis import strategies as st

from actionbus.contracts.commands import ActionCommand, CommandKind, ControlKind, WorkerControl
from actionbus.contracts.definitions import WorkflowDefinition
from actionbus.contracts.events import EntryKind, EventEntry, WorkflowEvent
from actionbus.contracts.model import Record
from actionbus.contracts.positions import ShardPosition
from actionbus.contracts.requests import ChildReport, IfExists, RequestKind, WorkflowRequest
from actionbus.contracts.results import ActionError, ActionResult, Emit, ResultKind
from actionbus.contracts.run import (
    AnsweredStep,
    Compensation,
    Decision,
    Held,
    HeldKind,
    Incident,
    Pace,
    Parent,
    RunStatus,
    ScopeState,
    Signal,
    StepState,
    StepStatus,
    Timer,
    TimerKind,
    Turn,
    WorkflowRun,
)

ERROR = ActionError(
    type="MailboxFull", message="the mailbox is full", retryable=False, retry_after_ms=1_500, details=b'{"quota":"1G"}'
)
DECISION = Decision(
    step="send-mail", attempt=5, decision="fallback", rule="MailboxFull", reason="the rule for MailboxFull", at=1_004
)
PARENT = Parent(run_id="order-7", incarnation="1z", path="items[3].ship", waits=True, depth=2)
REQUEST = WorkflowRequest(
    request_id="request-1",
    run_id="signup-1",
    kind=RequestKind.START,
    workflow="user-signup",
    version="1",
    payload='{"email":"ada@example.org","name":"Ada Łovelace"}'.encode(),
    if_exists=IfExists.RETURN,
    signal="approved",
    start_input=b'{"n":1}',
    step="send-mail",
    due_at=2_000,
    parent=PARENT,
    child=ChildReport(run_id="ship-1", incarnation="2s", status=RunStatus.FAILED, output=b"{}", error=ERROR),
    priority=3,
    reason="the form was sent",
    requested_by="the web shop",
    requested_at=1_000,
)
COMMAND = ActionCommand(
    command_id="signup-1:2s/send-mail/undo/1",
    step_key="signup-1:2s/send-mail",
    run_id="signup-1",
    workflow="user-signup",
    definition_version="1",
    step="send-mail",
    action="send-apology",
    attempt=1,
    kind=CommandKind.COMPENSATE,
    input=b'{"message_id":{"$ref":["made","message_id"]}}',
    template=True,
    original_output=b'{"message_id":"m-1"}',
    reply_topic="actionbus.workflow.results.v1",
    reply_partition=3,
    nonce="00112233445566778899aabbccddeeff",
    start_to_close_ms=30_000,
    deadline=61_000,
    issued_at=1_001,
    heartbeat_ms=5_000,
    heartbeat_details=b'{"page":3}',
)
RESULT = ActionResult(
    command_id="signup-1:2s/send-mail/1",
    step_key="signup-1:2s/send-mail",
    run_id="signup-1",
    kind=ResultKind.FAILED,
    nonce="00112233445566778899aabbccddeeff",
    worker="worker-1",
    output=b'{"message_id":"m-1"}',
    emits=(Emit(topic="mails", key=b"ada", value=b"{}", headers={"origin": b"test"}), Emit(topic="mails")),
    error=ERROR,
    details=b'{"page":4}',
    by_token=True,
    started_at=1_002,
    finished_at=1_003,
)
RUN = WorkflowRun(
    run_id="signup-1",
    incarnation="2s",
    workflow="user-signup",
    definition_version="1",
    definition_hash="ab" * 32,
    status=RunStatus.COMPENSATING,
    ending=RunStatus.FAILED,
    version=7,
    txn_seq=42,
    start_request_id="request-1",
    input=b"{}",
    output=b"null",
    error=ERROR,
    scopes=(
        ScopeState(path="", cursor=1),
        ScopeState(path="inner", cursor=2, data=b"[]", items=b"[1,2]", gathered=b"1 2\n"),
    ),
    steps=(
        StepState(
            path="send-mail",
            status=StepStatus.COMPENSATING,
            action="send-apology",
            attempt=1,
            dispatch_seq=42,
            scheduled_at=1_001,
            first_scheduled_at=1_000,
            input=b"{}",
            output=b"1",
            error=ERROR,
            resolution=b'{"kind":"compensate"}',
            stuck="the undo failed too often",
            seen_at=1_002,
            heartbeat=b'{"page":4}',
            deferred=1,
            turn=Turn(key="acme", queued_at=1_000, taken_at=1_001),
            incarnation="2s.1",
        ),
    ),
    timers=(Timer(id=1, kind=TimerKind.RETRY, step="send-mail", due_at=2_000),),
    compensations=(
        Compensation(step="send-mail", action="send-apology", input=b"{}", output=b"1", incarnation="2s.1"),
    ),
    decisions=(DECISION,),
    incident=Incident(reason="the undo failed too often", step="send-mail", since=1_005),
    signals=(Signal(name="approved", payload=b'{"by":"ada"}', received_at=1_003),),
    held=(Held(kind=HeldKind.UNWIND, path="inner", below="inner.send-mail"),),
    requests=("request-1", "request-2"),
    priority=3,
    turn=Turn(key="acme", queued_at=1_000, taken_at=1_001),
    paces=(Pace(action="send-mail", key="acme", at=1_001),),
    answered=(AnsweredStep(step="pay", attempt=2, digest="9f86d081884c7d65"),),
    next_timer=2,
    rewound=1,
    parent=PARENT,
    trace="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    created_at=1_000,
    updated_at=1_005,
)
EVENT = WorkflowEvent(
    run_id="signup-1",
    incarnation="2s",
    workflow="user-signup",
    definition_version="1",
    version=7,
    status=RunStatus.COMPENSATING,
    at=1_005,
    entries=(
        EventEntry(
            kind=EntryKind.DECISION,
            step="send-mail",
            action="send-mail",
            attempt=5,
            data=b"{}",
            decision=DECISION,
            request_id="request-1",
            reason="the mailbox is full",
        ),
        EventEntry(kind=EntryKind.RUN_COMPENSATING),
    ),
)
DEFINITION = WorkflowDefinition(
    name="user-signup", version="1", hash="cd" * 32, graph=b"{}", deployed_at=900, deployed_by="a test"
)
POSITION = ShardPosition(
    partitions=8,
    requests_offset=100,
    results_offset=200,
    txn_seq=42,
    dispatched_through=41,
    latest_time=1_005,
    owner="orchestrator-1",
)
CONTROL = WorkerControl(
    command_id="signup-1:2s/send-mail/1", action="send-mail", kind=ControlKind.CANCEL, reason="the run was cancelled"
)
SAMPLES: tuple[Record, ...] = (REQUEST, COMMAND, RESULT, RUN, EVENT, DEFINITION, POSITION, CONTROL)

LONGS = st.integers(-(2**63), 2**63 - 1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def records(model: type[Record]) -> st.SearchStrategy[Record]:
    """Any record of a model."""
    return st.builds(model, **{name: _values(field.annotation) for name, field in model.model_fields.items()})


def _values(annotation: Any) -> st.SearchStrategy[Any]:
    if get_origin(annotation) is UnionType:
        (some,) = [each for each in get_args(annotation) if each is not NoneType]
        return st.none() | _values(some)
    if get_origin(annotation) is tuple:
        return st.lists(_values(get_args(annotation)[0]), max_size=3).map(tuple)
    if get_origin(annotation) is dict:
        return st.dictionaries(st.text(max_size=5), st.binary(max_size=5), max_size=3)
    if issubclass(annotation, Record):
        return records(annotation)
    if issubclass(annotation, StrEnum):
        return st.sampled_from(annotation)
    scalars = {str: st.text(max_size=20), int: LONGS, bytes: st.binary(max_size=20), bool: st.booleans()}
    return scalars[annotation]
