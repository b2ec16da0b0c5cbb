"""What the shard says to an input around the engine: what does not exist, and what cannot be emitted.

Everything ends in a `Transition` or in an exception. `NotDeployed` and `Unseen` ask for a look at the broker and a
second try; any other one makes the input a dead letter.
"""

from dataclasses import replace

from actionbus.contracts.errors import Conflict, PayloadRefused
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.contracts.results import ActionError, Emit, ResultKind
from actionbus.contracts.run import RunStatus, WorkflowRun
from actionbus.engine import advance as engine
from actionbus.engine import start, verdict
from actionbus.engine.definition import Definition
from actionbus.engine.inputs import (
    Admitted,
    ChildReported,
    Input,
    RequestMade,
    ResultReceived,
    StartRequested,
    TimerFired,
)
from actionbus.engine.transition import Outcome, Transition
from actionbus.orchestrator import records
from actionbus.orchestrator.charter import Charter

EMIT_REFUSED = "EmitRefused"


class NotDeployed(Exception):
    """A definition that was not there when they were last read."""


def judge(charter: Charter, event: Input, run: WorkflowRun | None, now: int, seq: int, *, certain: bool) -> Transition:
    """What an input does to a run; ``certain``: the definitions were read after the input had arrived."""
    definition = _definition(charter, event, run, now, certain=certain)
    if isinstance(definition, Transition):
        return definition  # nothing to be judged by: there is no such run, or no such workflow
    if isinstance(event, RequestMade) and event.request.kind is RequestKind.MIGRATE:
        event = replace(event, target=_target(charter, event.request, definition, certain=certain))
    transition = engine.advance(definition, run, event, now, seq)
    why = _unwritable(charter, transition)
    return transition if why is None else refuse(charter, event, run, now, seq, why=why)


def refuse(
    charter: Charter, event: Input, run: WorkflowRun | None, now: int, seq: int, *, why: ActionError
) -> Transition:
    """The transition for an input whose effect cannot be written: a request is rejected, news count as a failure.

    News are what a worker or a child says: whoever waits for them must not wait for ever. Raises PayloadRefused when
    even the failure cannot be written.
    """
    match event:
        case StartRequested() | RequestMade():
            return verdict.rejected(event.request, run, why.message, now)
        case ResultReceived() | ChildReported():
            definition = None if run is None else charter.definitions.of(run)
            if definition is None:
                raise PayloadRefused(why.message)
            transition = engine.advance(definition, run, _as_failure(event, why), now, seq)
            still = _unwritable(charter, transition)
            if still is None:
                return transition
            raise PayloadRefused(f"{why.message}; and then {still.message}")
        case TimerFired() | Admitted():
            raise PayloadRefused(why.message)


def _definition(
    charter: Charter, event: Input, run: WorkflowRun | None, now: int, *, certain: bool
) -> Definition | Transition:
    if run is not None and not (isinstance(event, StartRequested) and start.chooses(run, event.request)):
        definition = charter.definitions.of(run)
        if definition is not None:
            return definition
        raise Conflict(
            f"run {run.run_id} is pinned to {run.workflow}@{run.definition_version} with the content "
            f"{run.definition_hash[:12]}, which is not deployed: deploy that content again"
        )
    match event:
        case StartRequested(request=request):
            definition = charter.definitions.find(request.workflow or "", request.version)
            if definition is None and not certain:
                raise NotDeployed(request.workflow)
            if definition is None:
                version = "" if request.version is None else f" version {request.version}"
                reason = f"the workflow {request.workflow!r}{version} is not deployed"
                return verdict.rejected(request, run, reason, now)
            return definition
        case RequestMade(request=request):
            return verdict.rejected(request, None, f"there is no run {request.run_id}", now)
        case ResultReceived() | TimerFired() | ChildReported() | Admitted():
            return Transition(run=None, outcome=Outcome.STALE)


def _target(charter: Charter, request: WorkflowRequest, definition: Definition, *, certain: bool) -> Definition | None:
    """The definition that a run is to go over to; raises NotDeployed when it may have been deployed just now."""
    found = charter.definitions.find(definition.name, request.version)
    if found is None and not certain:
        raise NotDeployed(definition.name)
    return found


def _as_failure(event: ResultReceived | ChildReported, why: ActionError) -> ResultReceived | ChildReported:
    if isinstance(event, ChildReported):
        failed = event.report.replace(status=RunStatus.UNKNOWN, output=None, error=why)
        return ChildReported(parent=event.parent, report=failed)
    return ResultReceived(
        result=event.result.replace(kind=ResultKind.FAILED, output=None, emits=(), error=why), command=event.command
    )


def _unwritable(charter: Charter, transition: Transition) -> ActionError | None:
    for emit in transition.emits:
        why = _destination(charter, emit)
        if why is not None:
            return _emit_refused(why)
    return None


def _destination(charter: Charter, emit: Emit) -> str | None:
    if charter.topics.owns(emit.topic):
        return f"nobody may emit to {emit.topic}: topics with the prefix {charter.topics.prefix} belong to actionbus"
    if charter.destinations.partitions(emit.topic) is None:
        return f"there is no topic {emit.topic}"
    size = records.size(records.emitted(emit, 0))
    if size > charter.limits.record_bytes:
        return f"a record for {emit.topic} has {size} bytes, {charter.limits.record_bytes} is the limit"
    return None


def _emit_refused(why: str) -> ActionError:
    return ActionError(type=EMIT_REFUSED, message=why, retryable=False)
