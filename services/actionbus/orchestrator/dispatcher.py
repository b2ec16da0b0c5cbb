"""Sends the commands that committed runs have out, and keeps at it until a broker has each of them."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable

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
from actionbus.process import metrics

RETRY_MS = 1_000

_log = structlog.get_logger(__name__)


class Dispatcher:
    """The commands of one shard on their way to the brokers."""

    def __init__(self, charter: Charter, dispatching: Dispatching) -> None:
        self._charter = charter
        self._dispatching = dispatching
        self._tasks: set[asyncio.Task[None]] = set()

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
        self._send([(seq, command, run.trace) for run in runs for command in self.commands(run, seq - 1)])

    def send_again(self, runs: Iterable[WorkflowRun], dispatched_through: int) -> int:
        """At a takeover: send, under their old numbers, all commands that are not known to be published; how many."""
        found: list[tuple[int, ActionCommand, str | None]] = []
        for run in runs:
            seqs = {step.path: step.dispatch_seq for step in run.steps}
            found += [(seqs[each.step], each, run.trace) for each in self.commands(run, dispatched_through)]
        found.sort(key=lambda each: each[0])
        for _, command, _ in found:
            metrics.COMMANDS_REDISPATCHED.labels(action=command.action).inc()
        self._send(found)
        return len(found)

    def close(self) -> None:
        """Give up what is under way: whoever takes over sends it again."""
        for task in self._tasks:
            task.cancel()

    def _send(self, found: list[tuple[int, ActionCommand, str | None]]) -> None:
        parcels: defaultdict[str, list[tuple[int, ActionCommand, str | None]]] = defaultdict(list)
        for each in found:
            self._dispatching.sending(each[0])
            parcels[each[1].action].append(each)
        for action, commands in parcels.items():
            try:
                self._publish(action, commands)
            except Unseen:
                self._later(action, commands, wait=False)

    def _publish(self, action: str, commands: list[tuple[int, ActionCommand, str | None]]) -> None:
        topic = self._charter.topics.commands(action)
        count = self._charter.destinations.partitions(topic)
        if count is None:
            _log.error("commands wait for their topic, `actionbus topics apply` makes it", topic=topic)
            self._later(action, commands, wait=True)
            return
        parcels: defaultdict[Place, list[tuple[int, ActionCommand, str | None]]] = defaultdict(list)
        for each in commands:
            parcels[topic, partition_for(each[1].run_id.encode(), count)].append(each)
        for place, parcel in parcels.items():
            self._publish_to(place, action, parcel)

    def _publish_to(self, place: Place, action: str, parcel: list[tuple[int, ActionCommand, str | None]]) -> None:
        written = self._charter.log.publish(*place, [self._record(command, trace) for _, command, trace in parcel])

        def done(future: "asyncio.Future[int]") -> None:
            if future.cancelled():
                return
            error = future.exception()
            if error is None:
                for seq, _, _ in parcel:
                    self._dispatching.acknowledged(seq)
                metrics.COMMANDS_PUBLISHED.labels(action=action).inc(len(parcel))
            else:
                _log.warning("commands could not be published, they are tried again", topic=place[0], error=str(error))
                self._later(action, parcel, wait=True)

        written.add_done_callback(done)

    def _record(self, command: ActionCommand, trace: str | None) -> OutRecord:
        definition = self._charter.definitions.find(command.workflow, command.definition_version)
        encoding = Encoding.AVRO if definition is None else definition.action(command.action).encoding
        return records.command(self._charter.codec, command, encoding, trace)

    def _later(self, action: str, commands: list[tuple[int, ActionCommand, str | None]], *, wait: bool) -> None:
        task = asyncio.get_running_loop().create_task(self._look_and_publish(action, commands, wait=wait))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look_and_publish(
        self, action: str, commands: list[tuple[int, ActionCommand, str | None]], *, wait: bool
    ) -> None:
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
