"""Drives one run of a workflow in this process: the engine decides, the actions are called one after the other."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from actionbus.contracts import identifiers
from actionbus.contracts.commands import ActionCommand
from actionbus.contracts.errors import DefinitionRefused, PayloadRefused, Refused, RunFailed
from actionbus.contracts.events import WorkflowEvent
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.contracts.results import ActionResult, Emit
from actionbus.contracts.run import RunStatus, WorkflowRun
from actionbus.engine.advance import advance
from actionbus.engine.definition import Definition
from actionbus.engine.dispatch import commands
from actionbus.engine.inputs import Input, RequestMade, ResultReceived, StartRequested, TimerFired
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

INPUTS: Final = 5_000  # a run that has not ended after so many will not end
RETENTION_MS: Final = 86_400_000
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
    signals: Sequence[Signal] = (),
    clock: FakeClock | None = None,
    stores: Mapping[str, str] | None = None,
    run_id: str = RUN_ID,
) -> Run[O]:
    """Run a workflow to its end, without Kafka and without waiting.

    The real engine decides and the real actions are called, each in its turn. ``actions`` replaces some: a list of
    actions with the ids of those they stand for, or a mapping of actions (or ids) to functions, such as
    ``{send_mail: answers(MailboxFull(), Mail("1"))}``. Each of ``signals`` comes when the run waits for it. Retries,
    timeouts and sleeps move ``clock`` instead of waiting.
    ``stores`` are the URLs of the databases of transactional actions; a store that is not named is a SQLite database
    in memory, new for each run. Raises PayloadRefused when the value does not fit the workflow's input, and
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
        run_workflow_async(workflow, value, actions=actions, signals=signals, clock=clock, stores=stores, run_id=run_id)
    )


async def run_workflow_async(
    workflow: Workflow[I, O],
    value: I,
    *,
    actions: StandIns = (),
    signals: Sequence[Signal] = (),
    clock: FakeClock | None = None,
    stores: Mapping[str, str] | None = None,
    run_id: str = RUN_ID,
) -> Run[O]:
    """The same as ``run_workflow``, in the event loop of the caller."""
    functions = _functions(workflow, actions)
    urls = {each.store: MEMORY for each in workflow.actions.values() if each.store is not None}
    async with Stores(urls | dict(stores or {})) as databases:
        attempts = Attempts(workflow.actions, functions, databases)
        try:
            driver = _Driver(workflow, attempts, Signals(workflow.graph, signals), clock or FakeClock())
            return await driver.drive(workflow.render_input(value), run_id)
        finally:
            attempts.close()


def _functions(workflow: Workflow[Any, Any], actions: StandIns) -> dict[str, Callable[..., Any]]:
    if isinstance(actions, Mapping):
        given = {each if isinstance(each, str) else each.id: function for each, function in actions.items()}
    else:
        given = {each.id: each.execute for each in actions}
    unknown = given.keys() - workflow.actions.keys()
    if unknown:
        raise DefinitionRefused(
            f"workflow {workflow.id} does not use {', '.join(sorted(unknown))}; it uses {', '.join(workflow.actions)}"
        )
    return given


class _Driver:
    def __init__(self, workflow: Workflow[Any, Any], attempts: Attempts, signals: Signals, clock: FakeClock) -> None:
        self._workflow = workflow
        self._definition = Definition(workflow.graph, run_retention_ms=RETENTION_MS)
        self._attempts = attempts
        self._signals = signals
        self._clock = clock
        self._run: WorkflowRun | None = None
        self._seq = 0
        self._events: list[WorkflowEvent] = []
        self._emitted: list[Emit] = []
        self._waiting: deque[ActionCommand] = deque()

    async def drive(self, payload: bytes, run_id: str) -> Run[Any]:
        """Start the run and go on until it ends, or waits for an operator or a signal that never comes."""
        request = WorkflowRequest(
            request_id=f"start-{run_id}",
            run_id=run_id,
            kind=RequestKind.START,
            workflow=self._workflow.id,
            version=self._workflow.version,
            payload=payload,
        )
        run = self._start(StartRequested(request=request, incarnation=identifiers.incarnation(0)))
        while not run.status.ended:
            if self._seq > INPUTS:
                raise RunFailed(
                    run_id, run.status, f"it has not ended after {INPUTS} inputs; {_last_words(self._events)}"
                )
            if self._waiting:
                run = await self._attempt(self._waiting.popleft(), run)
                continue
            after = self._wait(run)
            if after is None:
                break
            run = after
        return Run(
            state=run,
            output=self._output(run),
            events=tuple(self._events),
            calls=tuple(self._attempts.calls),
            emitted=tuple(self._emitted),
            waits_for=awaited(self._definition, run),
        )

    def _wait(self, run: WorkflowRun) -> WorkflowRun | None:
        """The run after what comes next, a signal or a timer; None when nothing will come."""
        timer = min(run.timers, key=lambda timer: (timer.due_at, timer.id), default=None)
        coming = self._signals.next(awaited(self._definition, run), self._clock.now_ms)
        if coming is not None and (timer is None or coming.due_at <= timer.due_at):
            self._clock.advance_to(max(coming.due_at, self._clock.now_ms))
            request = self._signals.deliver(coming.signal, run.run_id)
            return self._take(RequestMade(request=request), run)
        if timer is None:
            return None
        self._clock.advance_to(max(timer.due_at, self._clock.now_ms))
        return self._take(TimerFired(timer_id=timer.id), run)

    def _start(self, event: StartRequested) -> WorkflowRun:
        self._seq = 1
        first = advance(self._definition, None, event, self._clock.now_ms, self._seq)
        if first.run is None:
            reasons = [entry.reason for entry in first.event.entries if entry.reason] if first.event else []
            raise PayloadRefused("; ".join(reasons))
        return self._after(first.run, first.event, first.emits)

    async def _attempt(self, command: ActionCommand, run: WorkflowRun) -> WorkflowRun:
        if command not in commands(self._definition, run, 0, *_REPLIES):
            return run  # it was called back
        run = self._take(self._answer(self._attempts.started(command)), run)
        result = await self._attempts.carry_out(command)
        return run if result is None else self._take(self._answer(result), run)

    def _answer(self, result: ActionResult) -> ResultReceived:
        return ResultReceived(result=result, command=identifiers.parse_command_id(result.command_id))

    def _take(self, event: Input, run: WorkflowRun) -> WorkflowRun:
        self._seq += 1
        after = advance(self._definition, run, event, self._clock.now_ms, self._seq)
        if after.outcome is Outcome.REJECTED and after.event is not None:
            raise PayloadRefused("; ".join(entry.reason for entry in after.event.entries if entry.reason))
        if after.outcome is not Outcome.APPLIED or after.run is None:
            return run
        return self._after(after.run, after.event, after.emits)

    def _after(self, run: WorkflowRun, event: WorkflowEvent | None, emits: tuple[Emit, ...]) -> WorkflowRun:
        if event is not None:
            self._events.append(event)
        self._emitted.extend(emits)
        self._waiting.extend(commands(self._definition, run, self._seq - 1, *_REPLIES))
        return run

    def _output(self, run: WorkflowRun) -> Any:
        if run.status is not RunStatus.COMPLETED:
            return None
        return self._workflow.read_output(run.output if run.output is not None else b"null")


def _last_words(events: list[WorkflowEvent]) -> str:
    reasons = [entry.reason or entry.decision.reason for event in events for entry in event.entries if entry.decision]
    return f"the last decision: {reasons[-1]}" if reasons else "no decision was made"
