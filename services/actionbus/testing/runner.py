"""Drives a run of a workflow, and the runs that it starts, in this process.

The engine decides, the actions are called one after the other.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeVar

import httpx

from actionbus.contracts import identifiers
from actionbus.contracts.commands import ActionCommand
from actionbus.contracts.errors import DefinitionRefused, PayloadRefused, Refused, RunFailed
from actionbus.contracts.events import WorkflowEvent
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.contracts.results import ActionResult, Emit, ResultKind
from actionbus.contracts.run import RunStatus, WorkflowRun
from actionbus.engine.advance import advance
from actionbus.engine.definition import Definition
from actionbus.engine.dispatch import commands
from actionbus.engine.inputs import (
    Admitted,
    ChildReported,
    Input,
    RequestMade,
    ResultReceived,
    StartRequested,
    TimerFired,
)
from actionbus.engine.paths import ROOT
from actionbus.engine.transition import Outcome
from actionbus.sdk.action import Action
from actionbus.sdk.workflow import Workflow
from actionbus.testing.attempts import Attempts
from actionbus.testing.clock import FakeClock
from actionbus.testing.run import Run
from actionbus.testing.signals import Signal, Signals, awaited
from actionbus.worker.stores import Stores

I = TypeVar("I")  # noqa: E741 - input
O = TypeVar("O")  # noqa: E741 - output

StandIns = Sequence[Action[..., Any]] | Mapping[Action[..., Any] | str, Callable[..., Any]]
Answers = Mapping[Action[..., Any] | str, Callable[..., Any]]

INPUTS: Final = 5_000  # a run that has not ended after so many will not end
RETENTION_MS: Final = 86_400_000
NOBODY: Final[Answers] = MappingProxyType({})
MEMORY: Final = "sqlite://"
RUN_ID: Final = "test-run"


def _no_nonce(_: str) -> str:
    return ""


_REPLIES: Final = ("results", 0, _no_nonce)


def run_workflow(
    workflow: Workflow[I, O],
    value: I,
    *,
    actions: StandIns = (),
    answers: Answers = NOBODY,
    signals: Sequence[Signal] = (),
    clock: FakeClock | None = None,
    stores: Mapping[str, str] | None = None,
    network: httpx.AsyncBaseTransport | None = None,
    run_id: str = RUN_ID,
) -> Run[O]:
    """Run a workflow to its end, without Kafka and without waiting.

    The real engine decides and the real actions are called, each in its turn, those of the runs that it starts as
    well. ``actions`` replaces some: a list of
    actions with the ids of those they stand for, or a mapping of actions (or ids) to functions, such as
    ``{send_mail: answers(MailboxFull(), Mail("1"))}``. ``answers`` are those of whoever holds the token of an action
    that ends with ``ctx.answer_later()``: functions of its arguments, by actions or ids; where there is none, nobody
    answers. Each of ``signals`` comes when the run waits for it. Retries,
    timeouts and sleeps move ``clock`` instead of waiting. Of limits nothing is felt: no run waits for its turn.
    ``stores`` are the URLs of the databases that actions name; a store that is not named is a SQLite database
    in memory, new for each run. ``network`` answers the calls of http actions, such as ``httpx.MockTransport(answer)``;
    when left out they go out. Raises PayloadRefused when the value does not fit the workflow's input, and
    DefinitionRefused when the workflow cannot be run as written or does not use an action that is replaced.

    Inside a running event loop use ``await run_workflow_async(...)``.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise Refused("an event loop is running here: write await run_workflow_async(...)")
    return asyncio.run(
        run_workflow_async(
            workflow,
            value,
            actions=actions,
            answers=answers,
            signals=signals,
            clock=clock,
            stores=stores,
            network=network,
            run_id=run_id,
        )
    )


async def run_workflow_async(
    workflow: Workflow[I, O],
    value: I,
    *,
    actions: StandIns = (),
    answers: Answers = NOBODY,
    signals: Sequence[Signal] = (),
    clock: FakeClock | None = None,
    stores: Mapping[str, str] | None = None,
    network: httpx.AsyncBaseTransport | None = None,
    run_id: str = RUN_ID,
) -> Run[O]:
    """The same as ``run_workflow``, in the event loop of the caller."""
    known = {name: each for one in _family(workflow) for name, each in one.actions.items()}
    functions, outside = _functions(workflow, known, actions), _functions(workflow, known, answers)
    urls = {each.store: MEMORY for each in known.values() if each.store is not None}
    async with Stores(urls | dict(stores or {})) as databases:
        attempts = Attempts(known, functions, outside, databases, network)
        try:
            driver = _Driver(workflow, attempts, Signals(workflow.graph, signals), clock or FakeClock())
            return await driver.drive(workflow.render_input(value), run_id)
        finally:
            attempts.close()


def _functions(
    workflow: Workflow[Any, Any], known: Mapping[str, Action[..., Any]], actions: StandIns
) -> dict[str, Callable[..., Any]]:
    if isinstance(actions, Mapping):
        given = {each if isinstance(each, str) else each.id: function for each, function in actions.items()}
    else:
        given = {each.id: each.execute for each in actions}
    unknown = given.keys() - known.keys()
    if unknown:
        raise DefinitionRefused(
            f"workflow {workflow.id} does not use {', '.join(sorted(unknown))}; it uses {', '.join(known)}"
        )
    return given


class _Driver:
    """The run, and the runs that it started."""

    def __init__(self, workflow: Workflow[Any, Any], attempts: Attempts, signals: Signals, clock: FakeClock) -> None:
        self._workflow = workflow
        self._definitions = {
            each.id: Definition(each.graph, run_retention_ms=RETENTION_MS) for each in _family(workflow)
        }
        self._attempts = attempts
        self._signals = signals
        self._clock = clock
        self._runs: dict[str, WorkflowRun] = {}
        self._seq = 0
        self._events: list[WorkflowEvent] = []
        self._emitted: list[Emit] = []
        self._asked: deque[WorkflowRequest] = deque()
        self._waiting: deque[ActionCommand] = deque()

    async def drive(self, payload: bytes, run_id: str) -> Run[Any]:
        """Start the run and go on until it ends, or waits for an operator or a signal that never comes."""
        self._start(
            WorkflowRequest(
                request_id=f"start-{run_id}",
                run_id=run_id,
                kind=RequestKind.START,
                workflow=self._workflow.id,
                version=self._workflow.version,
                payload=payload,
            )
        )
        while not (run := self._runs[run_id]).status.ended:
            if self._seq > INPUTS:
                raise RunFailed(
                    run_id, run.status, f"it has not ended after {INPUTS} inputs; {_last_words(self._events)}"
                )
            if self._asked:
                self._ask(self._asked.popleft())
            elif self._waiting:
                await self._attempt(self._waiting.popleft())
            elif not self._wait(run):
                break
        return Run(
            state=run,
            output=self._output(run),
            events=tuple(event for event in self._events if event.run_id == run_id),
            calls=tuple(self._attempts.calls),
            emitted=tuple(self._emitted),
            heartbeats=tuple(self._attempts.heartbeats),
            waits_for=awaited(self._definitions[run.workflow], run),
            children=tuple(each for each in self._runs.values() if each.run_id != run_id),
        )

    def _wait(self, run: WorkflowRun) -> bool:
        """Let the next turn or signal come, or the next timer fire; False when nothing will come."""
        for each in self._runs.values():
            queued = ROOT if each.queued else next((step.path for step in each.steps if step.queued), None)
            if queued is not None:
                self._take(each.run_id, Admitted(path=queued))
                return True
        live = [each for each in self._runs.values() if not each.status.ended]
        timers = [(timer.due_at, place, timer.id) for place, each in enumerate(live) for timer in each.timers]
        timer = min(timers, default=None)
        coming = self._signals.next(awaited(self._definitions[run.workflow], run), self._clock.now_ms)
        if coming is not None and (timer is None or coming.due_at <= timer[0]):
            self._clock.advance_to(max(coming.due_at, self._clock.now_ms))
            request = self._signals.deliver(coming.signal, run.run_id)
            refused = self._take(run.run_id, RequestMade(request=request))
            if refused is not None:
                raise PayloadRefused(refused)
            return True
        if timer is None:
            return False
        due_at, place, timer_id = timer
        self._clock.advance_to(max(due_at, self._clock.now_ms))
        self._take(live[place].run_id, TimerFired(timer_id=timer_id))
        return True

    def _start(self, request: WorkflowRequest) -> None:
        refused = self._take(
            request.run_id, StartRequested(request=request, incarnation=identifiers.incarnation(self._seq))
        )
        if refused is not None:
            raise PayloadRefused(refused)

    def _ask(self, request: WorkflowRequest) -> None:
        """What one run asks of another."""
        match request.kind:
            case RequestKind.START:
                incarnation = identifiers.incarnation(self._seq)
                self._take(request.run_id, StartRequested(request=request, incarnation=incarnation))
            case RequestKind.CHILD_REPORT if request.parent is not None and request.child is not None:
                self._take(request.run_id, ChildReported(parent=request.parent, report=request.child))
            case _:
                self._take(request.run_id, RequestMade(request=request))

    async def _attempt(self, command: ActionCommand) -> None:
        run = self._runs[command.run_id]
        if command not in commands(self._definitions[run.workflow], run, 0, *_REPLIES):
            return  # it was called back
        self._answer(self._attempts.started(command))
        for result in await self._attempts.carry_out(command):
            self._answer(result)
            if result.kind is ResultKind.DEFERRED and (answer := await self._attempts.answer(command)) is not None:
                self._answer(answer)

    def _answer(self, result: ActionResult) -> None:
        command = identifiers.parse_command_id(result.command_id)
        self._take(result.run_id, ResultReceived(result=result, command=command))

    def _take(self, run_id: str, event: Input) -> str | None:
        """Let something happen to a run; the reason when it is refused."""
        self._seq += 1
        run = self._runs.get(run_id)
        name = event.request.workflow if isinstance(event, StartRequested) else run and run.workflow
        after = advance(self._definitions[name or ""], run, event, self._clock.now_ms, self._seq)
        self._asked.extend(after.requests)
        if after.outcome is Outcome.REJECTED and after.event is not None:
            return "; ".join(entry.reason for entry in after.event.entries if entry.reason)
        if after.outcome is Outcome.APPLIED and after.run is not None:
            self._runs[run_id] = after.run
            self._emitted.extend(after.emits)
            if after.event is not None:
                self._events.append(after.event)
            self._waiting.extend(commands(self._definitions[after.run.workflow], after.run, self._seq - 1, *_REPLIES))
        return None

    def _output(self, run: WorkflowRun) -> Any:
        if run.status is not RunStatus.COMPLETED:
            return None
        return self._workflow.read_output(run.output if run.output is not None else b"null")


def _family(workflow: Workflow[Any, Any]) -> list[Workflow[Any, Any]]:
    """A workflow, and all that it starts runs of, directly or not."""
    found = {workflow.id: workflow}
    waiting = [workflow]
    while waiting:
        new = [each for each in waiting.pop().children.values() if each.id not in found]
        found |= {each.id: each for each in new}
        waiting += new
    return list(found.values())


def _last_words(events: list[WorkflowEvent]) -> str:
    reasons = [entry.reason or entry.decision.reason for event in events for entry in event.entries if entry.decision]
    return f"the last decision: {reasons[-1]}" if reasons else "no decision was made"
