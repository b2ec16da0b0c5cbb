"""A small orchestrator for the client's tests: the real engine over the real topics, one process, no durability.

Steps succeed at once with their input as output, except those of an action in ``held``, which wait for ``release``, and
those of an action in ``failing``, which fail for good.
"""

import asyncio
from collections.abc import Sequence
from typing import Self

from actionbus.contracts import headers, identifiers
from actionbus.contracts.decisions import Call, RetryPolicy
from actionbus.contracts.definitions import ActionSpec, Graph
from actionbus.contracts.events import WorkflowEvent
from actionbus.contracts.nodes import SequenceNode, StepNode
from actionbus.contracts.records import InRecord, OutRecord
from actionbus.contracts.requests import RequestKind, WorkflowRequest
from actionbus.contracts.results import ActionError, ActionResult, ResultKind
from actionbus.contracts.run import WorkflowRun
from actionbus.contracts.topics import Topics
from actionbus.engine import verdict
from actionbus.engine.advance import advance
from actionbus.engine.definition import Definition
from actionbus.engine.dispatch import commands
from actionbus.engine.inputs import RequestMade, ResultReceived, StartRequested
from actionbus.kafka.admin import Admin
from actionbus.kafka.codec import Codec
from actionbus.kafka.connection import Connection
from actionbus.kafka.producer import IdempotentProducer
from actionbus.kafka.reader import PartitionReader
from actionbus.provisioner import topics

SHARDS = 3
ANYTHING = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def graph(name: str, *actions: str, version: str = "1") -> Graph:
    """A workflow that runs these actions one after the other on its input, and gives its input back."""
    specs = {each: ActionSpec(id=each, retry=RetryPolicy(attempts=1)) for each in actions}
    nodes = [StepNode(id=each, call=Call(action=each, input={"$ref": ["input"]})) for each in actions]
    root = SequenceNode(id="root", nodes=tuple(nodes))
    body = {"input_schema": ANYTHING, "output": {"$ref": ["input"]}, "actions": specs}
    return Graph(name=name, version=version, root=root, **body)


HELLO = graph("hello", "greet")
TWO = graph("two", "first", "second")
ADA = {"name": "Ada"}
LIMIT = 240.0


class Answering:
    """Answers requests until it is closed."""

    def __init__(self, connection: Connection, prefix: str, graphs: Sequence[Graph]) -> None:
        self.topics = Topics(prefix)
        self.held: set[str] = set()
        self.failing: set[str] = set()
        self.runs: dict[str, WorkflowRun] = {}
        self._connection = connection
        self._definitions: dict[str, Definition] = {}  # by name: the first version, which is started
        self._versions: dict[tuple[str, str | None], Definition] = {}
        for each in graphs:
            made = self._versions[each.name, each.version] = Definition(each, run_retention_ms=86_400_000)
            self._definitions.setdefault(each.name, made)
        self._codec = Codec()
        self._seq = 0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        wanted = topics.Wanted(prefix=self.topics.prefix, actions=[], shards=SHARDS, action_partitions=1, replication=1)
        async with Admin(self._connection) as admin:
            await topics.apply(admin, await topics.look(admin, wanted))
        self._producer = IdempotentProducer(self._connection)
        self._reader = PartitionReader(self._connection)
        await self._producer.start()
        await self._reader.start()
        return self

    def begin(self) -> None:
        """Answer from now on, what was asked before included."""
        self._task = asyncio.create_task(self._answer())

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._producer.flush()
        await self._producer.close()
        await self._reader.close()

    async def release(self, run_id: str) -> None:
        """Let a held run go on."""
        run = self.runs[run_id]
        self.held.clear()
        await self._go_on(run, self._partition[run_id])

    async def say(self, event: WorkflowEvent, partition: int) -> None:
        """Write an event."""
        await self._write(self.topics.events, partition, event.run_id, self._codec.encode(event))

    async def _answer(self) -> None:
        self._partition: dict[str, int] = {}
        starts = {(self.topics.requests, partition): 0 for partition in range(SHARDS)}
        async for records in self._reader.follow(starts):
            for record in records:
                request = self._codec.decode(WorkflowRequest, record.value)
                self._partition[request.run_id] = record.partition
                await self._request(request, record)

    async def _request(self, request: WorkflowRequest, record: InRecord) -> None:
        run = self.runs.get(request.run_id)
        name = request.workflow if run is None else run.workflow
        definition = self._definitions.get(name or "") if run is None else self._of(run)
        if definition is None:
            reason = f"there is no workflow {name}" if name else "there is no run of that id"
            refused = verdict.rejected(request, run, reason, record.timestamp_ms)
            await self.say(refused.event, record.partition)
            return
        if request.kind is RequestKind.START or (request.kind is RequestKind.SIGNAL and request.workflow):
            trace = headers.trace_of(record)
            event = StartRequested(request=request, incarnation=identifiers.incarnation(record.offset), trace=trace)
        else:
            target = self._versions.get((name or "", request.version))
            event = RequestMade(request=request, target=target if request.kind is RequestKind.MIGRATE else None)
        await self._advance(definition, run, event, record.partition)
        run = self.runs.get(request.run_id)
        if run is not None and not run.status.ended:
            await self._go_on(run, record.partition)

    def _of(self, run: WorkflowRun) -> Definition:
        return self._versions[run.workflow, run.definition_version]

    async def _go_on(self, run: WorkflowRun, partition: int) -> None:
        while True:
            definition = self._of(run)
            out = commands(definition, run, 0, "", 0, lambda _: "")
            if not out or out[0].action in self.held:
                return
            (command,) = out
            done = command.action not in self.failing
            result = ActionResult(
                command_id=command.command_id,
                step_key=command.step_key,
                run_id=run.run_id,
                kind=ResultKind.SUCCEEDED if done else ResultKind.FAILED,
                nonce="",
                output=command.input if done else None,
                error=None if done else ActionError(type="Broken", message="it does not work", retryable=False),
            )
            answer = ResultReceived(result=result, command=identifiers.parse_command_id(command.command_id))
            await self._advance(definition, run, answer, partition)
            run = self.runs[run.run_id]

    async def _advance(self, definition: Definition, run: WorkflowRun | None, event, partition: int) -> None:
        self._seq += 1
        done = advance(definition, run, event, 1_000, self._seq)
        if done.run is not None and done.run is not run:
            self.runs[done.run.run_id] = done.run
            await self._write(self.topics.state, partition, done.run.run_id, self._codec.encode(done.run))
        if done.event is not None:
            await self.say(done.event, partition)

    async def _write(self, topic: str, partition: int, key: str, value: bytes) -> None:
        await self._producer.append(topic, partition, [OutRecord(key=key.encode(), value=value)])
