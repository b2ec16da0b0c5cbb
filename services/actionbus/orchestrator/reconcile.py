"""Finds commands that went out and were never answered although their readers have passed them, and sends them again.

It heals what should not happen: a command or a result that is lost. A worker that is merely down keeps its backlog as
it is, for its group has not passed the commands that wait for it. Sending again is safe: the id is the same.
"""

import asyncio
from collections.abc import Iterator
from typing import Final

import structlog

from actionbus.contracts.commands import ActionCommand
from actionbus.contracts.definitions import Effect
from actionbus.contracts.errors import ActionbusError
from actionbus.contracts.run import StepState, WorkflowRun
from actionbus.kafka.partitioning import partition_for
from actionbus.orchestrator.charter import Charter
from actionbus.orchestrator.clocks import BrokerTime
from actionbus.orchestrator.dispatcher import UNCOUNTED, Dispatcher, Due
from actionbus.process import logs

LOOK_MOST: Final = 1_000  # commands that may wait to be looked at; more are looked at at their next turn

_log = structlog.get_logger(__name__)


def outstanding(run: WorkflowRun) -> Iterator[StepState]:
    """The steps whose command is out, and to be answered by a worker."""
    return (step for step in run.steps if step.waits_for_worker)


def next_look(since: int, now: int, after_ms: int) -> int:
    """When to look at a command again: whenever its silence has doubled, first after ``after_ms``."""
    wait = after_ms
    while since + wait <= now:
        wait *= 2
    return since + wait


def looks(run: WorkflowRun, now: int, after_ms: int) -> list[int]:
    """When to look at each command that a run has out."""
    return [next_look(_silent_since(step), now, after_ms) for step in outstanding(run)]


def _silent_since(step: StepState) -> int:
    """When the current attempt was last heard of; heartbeats of attempts before it are older than its command."""
    return max(step.scheduled_at, step.seen_at)


class Reconciler:
    """Looks after the unanswered commands of one shard."""

    def __init__(self, charter: Charter, dispatcher: Dispatcher, time: BrokerTime) -> None:
        self._charter = charter
        self._dispatcher = dispatcher
        self._time = time
        self._task: asyncio.Task[None] | None = None
        self._waiting: dict[str, tuple[ActionCommand, str | None]] = {}

    def consider(self, run: WorkflowRun, present: WorkflowRun) -> None:
        """Look into the commands of a committed run that have been out for long; answers come outside the fold.

        ``present``: the run with what is folded and not committed yet. A command out of that may never count, but a
        sign of life does.
        """
        now, after = self._time.latest, self._charter.reconcile_after_ms
        old = {step.path for step in outstanding(present) if _silent_since(step) + after <= now}
        if not old or len(self._waiting) >= LOOK_MOST:
            return
        definition = self._charter.definitions.of(run)
        for command in self._dispatcher.commands(run, 0):
            once = definition is not None and definition.action(command.action).effect is Effect.AT_MOST_ONCE
            if command.step in old and not once:
                self._waiting[command.command_id] = (command, run.trace)
        if self._waiting and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._look())

    def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()

    async def _look(self) -> None:
        try:
            while self._waiting:
                waiting, self._waiting = self._waiting, {}
                passed: dict[tuple[str, int], bool] = {}
                for command, trace in waiting.values():
                    await self._look_into(command, trace, passed)
        except ActionbusError as error:
            _log.warning("unanswered commands could not be looked into", error=str(error))
        finally:
            self._task = None

    async def _look_into(self, command: ActionCommand, trace: str | None, passed: dict[tuple[str, int], bool]) -> None:
        topics = self._charter.topics
        topic = topics.commands(command.action)
        count = await self._charter.destinations.look(topic)
        if count is None:
            return
        place = (topic, partition_for(command.run_id.encode(), count))
        if place not in passed:
            # Whatever went out long ago was written before this time, however late its broker was.
            before = self._time.latest - self._charter.reconcile_after_ms // 2
            passed[place] = await self._charter.log.passed(topics.worker_group(command.action), *place, before)
        if passed[place]:
            about = logs.about_command(command, trace)
            _log.warning("a command was passed over and is sent again", command_id=command.command_id, **about)
            self._dispatcher.publish([Due(UNCOUNTED, command, trace, again=True)])
