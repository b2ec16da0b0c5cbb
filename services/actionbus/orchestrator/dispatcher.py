"""Sends the commands that committed runs have out, and keeps at it until a broker has each of them."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import NamedTuple

import structlog

from actionbus.contracts.commands import ActionCommand
from actionbus.contracts.definitions import Encoding
from actionbus.contracts.errors import ActionbusError
from actionbus.contracts.records import OutRecord
from actionbus.contracts.run import WorkflowRun
from actionbus.engine import dispatch
from actionbus.kafka.partitioning import partition_for
from actionbus.orchestrator import records
from actionbus.orchestrator.charter import Charter
from actionbus.orchestrator.destinations import Unseen
from actionbus.orchestrator.dispatching import Dispatching
from actionbus.orchestrator.log import Place
from actionbus.process import crashing, metrics

RETRY_MS = 1_000
UNCOUNTED = 0  # as the number of a transaction: the command was acknowledged before, and is only repeated

_log = structlog.get_logger(__name__)


class Due(NamedTuple):
    """A command that is to go out, with the transaction that scheduled it and the trace of its run."""

    seq: int
    command: ActionCommand
    trace: str | None
    again: bool = False


class Dispatcher:
    """The commands of one shard on their way to the brokers."""

    def __init__(self, charter: Charter, dispatching: Dispatching, acknowledged: Callable[[], None]) -> None:
        self._charter = charter
        self._dispatching = dispatching
        self._acknowledged = acknowledged
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def commands(self, run: WorkflowRun, after_seq: int) -> Iterable[ActionCommand]:
        """The commands a run has out that were scheduled by transactions after ``after_seq``."""
        definition = self._charter.definitions.of(run)
        if definition is None:
            return ()
        return dispatch.commands(
            definition, run, after_seq, self._charter.topics.results, self._charter.shard, self._charter.nonce
        )

    def send(self, runs: Iterable[WorkflowRun], seq: int) -> None:
        """Send what the transaction ``seq`` has scheduled, as the runs stand after the whole of it."""
        crashing.visit(crashing.Point.COMMITTED)
        due = [Due(seq, command, run.trace) for run in runs for command in self.commands(run, seq - 1)]
        for each in due:
            self._dispatching.sending(each.seq)
        self.publish(due)

    def recall(self, runs: Iterable[WorkflowRun], dispatched_through: int) -> list[Due]:
        """At a takeover: all commands that are not known to be published, under their old numbers.

        From now on they count as not acknowledged: no position may say otherwise, not even one that is written before
        they are published again.
        """
        due: list[Due] = []
        seqs: list[int] = []
        for run in runs:
            waiting = {step.path: step.dispatch_seq for step in run.steps if step.dispatch_seq > dispatched_through}
            found = [
                Due(waiting[each.step], each, run.trace, again=True) for each in self.commands(run, dispatched_through)
            ]
            due += found
            # Without its definition a run has no commands; the mark stays below them, so that a later owner sends them.
            seqs += [each.seq for each in found] if self._charter.definitions.of(run) else waiting.values()
        due.sort(key=lambda each: each.seq)
        for seq in sorted(seqs):
            self._dispatching.sending(seq)
        return due

    def publish(self, due: Iterable[Due]) -> None:
        """Publish commands, each until a broker has it."""
        parcels: defaultdict[str, list[Due]] = defaultdict(list)
        for each in due:
            parcels[each.command.action].append(each)
        for number, (action, parcel) in enumerate(parcels.items()):
            if number and crashing.ends_next(crashing.Point.SOME_PUBLISHED):
                return  # what was appended before arrives alone, and then this process ends
            try:
                self._publish(action, parcel)
            except Unseen:
                self._later(action, parcel, wait=False)

    def close(self) -> None:
        """Give up what is under way: whoever takes over sends it again."""
        self._closed = True
        for task in self._tasks:
            task.cancel()

    def _publish(self, action: str, commands: list[Due]) -> None:
        topic = self._charter.topics.commands(action)
        count = self._charter.destinations.partitions(topic)
        if count is None:
            _log.error("commands wait for their topic, `actionbus topics apply` makes it", topic=topic)
            self._later(action, commands, wait=True)
            return
        parcels: defaultdict[Place, list[Due]] = defaultdict(list)
        for each in commands:
            parcels[topic, partition_for(each.command.run_id.encode(), count)].append(each)
        for place, parcel in parcels.items():
            self._publish_to(place, action, parcel)

    def _publish_to(self, place: Place, action: str, parcel: list[Due]) -> None:
        written = self._charter.log.publish(*place, [self._record(each) for each in parcel])

        def done(future: "asyncio.Future[int]") -> None:
            if future.cancelled():
                return
            error = future.exception()
            if error is None:
                for each in parcel:
                    if each.seq != UNCOUNTED:
                        self._dispatching.acknowledged(each.seq)
                    self._charter.spans.ordered(each.command, each.trace, *place)
                metrics.COMMANDS_PUBLISHED.labels(action=action).inc(sum(not each.again for each in parcel))
                metrics.COMMANDS_REDISPATCHED.labels(action=action).inc(sum(each.again for each in parcel))
                if len(self._dispatching):
                    crashing.visit(crashing.Point.SOME_PUBLISHED)
                else:
                    crashing.visit(crashing.Point.ALL_PUBLISHED)
                    self._acknowledged()
            else:
                _log.warning("commands could not be published, they are tried again", topic=place[0], error=str(error))
                self._later(action, parcel, wait=True)

        written.add_done_callback(done)

    def _record(self, due: Due) -> OutRecord:
        command = due.command
        definition = self._charter.definitions.find(command.workflow, command.definition_version)
        encoding = Encoding.AVRO if definition is None else definition.action(command.action).encoding
        trace = self._charter.spans.ordering(command, due.trace)
        return records.command(self._charter.codec, command, encoding, trace)

    def _later(self, action: str, commands: list[Due], *, wait: bool) -> None:
        if self._closed:
            return
        task = asyncio.get_running_loop().create_task(self._look_and_publish(action, commands, wait=wait))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look_and_publish(self, action: str, commands: list[Due], *, wait: bool) -> None:
        if wait:
            await self._charter.clock.sleep(RETRY_MS)
        while True:
            try:
                await self._charter.destinations.look(self._charter.topics.commands(action))
                self._publish(action, commands)
            except (ActionbusError, Unseen) as error:
                _log.warning("commands wait", action=action, error=str(error))
                await self._charter.clock.sleep(RETRY_MS)
            else:
                return
