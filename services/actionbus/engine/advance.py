"""The engine in one table: what every input does to a run.

``advance`` is pure. The same inputs in the same order give byte-identical runs and events, wherever it is called: in
the service, in a test without a broker, in a replay. Time enters only as ``now``.
"""

from typing import assert_never

from actionbus.contracts.identifiers import CommandId
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.contracts.results import ActionResult, ResultKind
from actionbus.contracts.run import RunStatus, WorkflowRun
from actionbus.engine import (
    admit,
    cancel,
    child,
    compensate,
    complete,
    deferred,
    differing,
    fail,
    fire,
    heartbeat,
    migrate,
    operator,
    pause,
    rewind,
    signal,
    start,
    started,
    terminate,
    verdict,
)
from actionbus.engine.definition import Definition
from actionbus.engine.draft import Draft
from actionbus.engine.freeze import frozen
from actionbus.engine.inputs import (
    Admitted,
    ChildReported,
    Input,
    RequestMade,
    ResultReceived,
    StartRequested,
    TimerFired,
)
from actionbus.engine.progress import settle
from actionbus.engine.transition import Outcome, Transition


def advance(definition: Definition, run: WorkflowRun | None, event: Input, now: int, seq: int) -> Transition:
    """What an input makes of a run.

    ``run`` is None when there is none of that id. ``now`` is the broker's time in epoch milliseconds and never goes
    back; ``seq`` is the sequence number of the transaction that will carry the transition. Raises InvariantBroken when
    the run and the definition do not belong together: that is a mistake of the caller.
    """
    match event:
        case StartRequested():
            return _start(definition, run, event, now, seq)
        case RequestMade(request=request, target=target):
            return _request(definition, run, request, now, seq, target)
        case ResultReceived() | TimerFired() | ChildReported() | Admitted():
            if run is None:
                return Transition(run=None, outcome=Outcome.STALE)
            draft = Draft(definition, run, now, seq)
            return _after(draft, _news(draft, event))
        case _:
            assert_never(event)


def _news(draft: Draft, event: ResultReceived | TimerFired | ChildReported | Admitted) -> Outcome:
    match event:
        case ResultReceived(result=result, command=command):
            return _answer(draft, event, result) if _addressed(draft, command) else Outcome.STALE
        case TimerFired(timer_id=timer_id):
            return fire.fire(draft, timer_id)
        case ChildReported(parent=parent, report=report):
            return child.reported(draft, parent, report)
        case Admitted(path=path):
            return admit.admit(draft, path)
        case _:
            assert_never(event)


def _addressed(draft: Draft, command: CommandId) -> bool:
    """Whether a command is one of this run, and of what stands at its path now: before a rewind that was another."""
    step = draft.steps.get(command.path)
    own = draft.run.incarnation if step is None or not step.incarnation else step.incarnation
    return (command.run_id, command.incarnation) == (draft.run.run_id, own)


def _start(definition: Definition, run: WorkflowRun | None, event: StartRequested, now: int, seq: int) -> Transition:
    if run is not None and event.request.kind is RequestKind.SIGNAL:
        return _request(definition, run, event.request, now, seq)
    if run is not None and (misused := start.misused(run, event.request)) is not None:
        return verdict.rejected(event.request, run, misused, now)
    if run is not None and start.postpones(run, event.request):
        draft = start.postpone(event.target or definition, event, now, seq, before=run)
        return _after(draft, Outcome.APPLIED) if isinstance(draft, Draft) else draft
    if run is not None and not start.replaces(run, event.request):
        return start.second(run, event.request, now)
    draft = start.begin(definition, event, now, seq, before=run)
    return _after(draft, Outcome.APPLIED) if isinstance(draft, Draft) else draft


def _request(  # noqa: PLR0911, PLR0917 - a table of cases over what advance was given
    definition: Definition,
    run: WorkflowRun | None,
    request: WorkflowRequest,
    now: int,
    seq: int,
    target: Definition | None = None,
) -> Transition:
    if run is None:
        return verdict.rejected(request, None, "there is no run of that id", now)
    if request.parent is not None and not child.started_by(run, request.parent):
        return verdict.rejected(request, run, "another run of that id was started by somebody else", now)
    if (misused := start.misused(run, request)) is not None:
        return verdict.rejected(request, run, misused, now)
    if any(each.request_id == request.request_id for each in run.signals):
        return Transition(run=run, outcome=Outcome.REPEATED)  # it waits for its verdict, which this one hears as well
    if start.carried_out(run, request):
        return verdict.accepted_before(request, run, "this request was carried out before", now)
    if request.kind is RequestKind.CANCEL and run.status is RunStatus.COMPENSATING:
        return verdict.accepted_before(request, run, f"the run undoes what it did and will be {run.ending}", now)
    draft = Draft(definition, run, now, seq)
    if request.kind is not RequestKind.SIGNAL:  # whose verdict may carry an answer, or follow later
        draft.accept(request)
    refused = (
        f"the run has ended already: it is {run.status}" if run.status.ended else _carry_out(draft, request, target)
    )
    if refused is not None:
        return verdict.rejected(request, run, refused, now)
    return _after(draft, Outcome.APPLIED)


def _carry_out(  # noqa: C901, PLR0911, PLR0912 - a table of cases
    draft: Draft, request: WorkflowRequest, target: Definition | None
) -> str | None:
    """Do what was asked; the reason when it is refused."""
    match request.kind:
        case RequestKind.SIGNAL:
            return signal.signal(draft, request)
        case RequestKind.CANCEL:
            return cancel.cancel(draft, request)
        case RequestKind.TERMINATE:
            return terminate.terminate(draft, request)
        case RequestKind.PAUSE:
            return pause.pause(draft, request)
        case RequestKind.RESUME:
            return pause.resume(draft, request)
        case RequestKind.RETRY_STEP:
            return operator.retry_step(draft, request)
        case RequestKind.REWIND:
            return rewind.rewind(draft, request)
        case RequestKind.SKIP_STEP:
            return operator.skip_step(draft, request)
        case RequestKind.COMPLETE_STEP:
            return operator.complete_step(draft, request)
        case RequestKind.CHANGE_TIMER:
            return operator.change_timer(draft, request)
        case RequestKind.ASSIGN_TASK:
            return operator.assign_task(draft, request)
        case RequestKind.MIGRATE:
            return migrate.carry_out(draft, request, target)
        case RequestKind.START | RequestKind.CHILD_REPORT | RequestKind.UNKNOWN:
            return f"a run cannot be asked to {request.kind} in this version"
        case _:
            assert_never(request.kind)


def _answer(  # noqa: PLR0911 - a table of cases
    draft: Draft, event: ResultReceived, result: ActionResult
) -> Outcome:
    command = event.command
    match result.kind:
        case ResultKind.SUCCEEDED:
            outcome = (compensate.undone if command.undo else complete.complete)(draft, result, command)
            late = outcome is Outcome.STALE and not command.undo
            return differing.late(draft, result, command) if late else outcome
        case ResultKind.FAILED:
            return (compensate.failed if command.undo else fail.fail)(draft, result, command)
        case ResultKind.STARTED:
            return started.started(draft, command)
        case ResultKind.HEARTBEAT:
            return heartbeat.heartbeat(draft, result, command)
        case ResultKind.DEFERRED:
            return deferred.deferred(draft, result, command)
        case ResultKind.IN_DOUBT:
            return (compensate.in_doubt if command.undo else fail.in_doubt)(draft, result, command)
        case ResultKind.UNKNOWN:
            return Outcome.STALE
        case _:
            assert_never(result.kind)


def _after(draft: Draft, outcome: Outcome) -> Transition:
    match outcome:
        case Outcome.APPLIED:
            settle(draft)
            return frozen(draft)
        case Outcome.FORGOTTEN:
            return Transition(run=None, outcome=outcome)
        case Outcome.REPEATED | Outcome.STALE | Outcome.REJECTED:
            return draft.unchanged(outcome)
        case _:
            assert_never(outcome)
