"""The client over Kafka: it needs the installation's topics and nothing else."""

import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final, Literal, Self, Unpack

from actionbus.client import run_ids
from actionbus.client.answering import Answering
from actionbus.client.asking import milliseconds, written
from actionbus.client.desk import Desk
from actionbus.client.handle import RunHandle
from actionbus.client.interface import Asked, HasGraph, Runs
from actionbus.client.naming import named
from actionbus.client.scheduling import Scheduling
from actionbus.client.tail import Follower, Outcome
from actionbus.contracts import identifiers, payloads
from actionbus.contracts.definitions import Graph
from actionbus.contracts.errors import Refused
from actionbus.contracts.limits import DEFAULT_LIMITS, Limits
from actionbus.contracts.requests import IfExists, RequestKind, WorkflowRequest
from actionbus.contracts.topics import DEFAULT_PREFIX, Topics
from actionbus.contracts.validation import Schema
from actionbus.kafka.codec import Codec
from actionbus.kafka.connection import Connection
from actionbus.sdk import duration
from actionbus.sdk.duration import Duration

VERDICT_SECONDS: Final = 60.0  # several times what a shard needs to change hands after a crash


class Client(Answering, Scheduling, Runs):
    """Starts runs, finds them again, and answers steps by their tokens.

    One client serves thousands of runs at once; share it.

    ``verdict_seconds``: how long whoever asks something waits to be answered.
    """

    def __init__(
        self,
        connection: Connection,
        prefix: str = DEFAULT_PREFIX,
        *,
        codec: Codec | None = None,
        limits: Limits = DEFAULT_LIMITS,
        verdict_seconds: float = VERDICT_SECONDS,
    ) -> None:
        self._limits = limits
        self._schemas: dict[tuple[str, str], tuple[Graph, Schema]] = {}  # compiled once
        self._desk = Desk(
            connection, Topics(prefix), codec=codec or Codec(), limits=limits, verdict_seconds=verdict_seconds
        )

    async def __aenter__(self) -> Self:
        await self._desk.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._desk.close()

    async def start(
        self,
        workflow: str | HasGraph,
        input: Any = None,  # noqa: A002 - the workflow's input, as its author calls it
        *,
        run_id: str | None = None,
        version: str | None = None,
        if_exists: IfExists | Literal["reject", "return", "replace"] = IfExists.REJECT,
        begin_at: datetime | None = None,
        debounce: Duration | None = None,
        priority: int = 0,
        partition_key: str | None = None,
        reason: str = "",
        trace: str | None = None,
        **asked: Unpack[Asked],
    ) -> RunHandle:
        """Start a run of a workflow, given by name (or ``name@version``) or as code, and wait until it was accepted.

        ``run_id``: chosen by the caller, or made here. ``version``: the newest deployed one, or that of the code.
        ``if_exists``: whether a run id that is taken is refused, means the run that is there, or is given to a new run
        once the one that has it has ended. ``begin_at``: when its first step is due; at once when not given.
        ``debounce``: begin after so long, unless the run is started so again before: then it begins that much later,
        with the later input. A run under way is not touched and the start is refused; one that has ended is replaced.
        ``priority``: who goes first where a limit lets not all go, -100 to 100, higher first.
        ``partition_key``: runs whose ids are made here with the same one share a shard, and so one count of a limit.
        ``request_id``: the same id asked again has one effect, so a caller that is not sure asks again with it.
        ``input``: anything pydantic can write as JSON. ``wait=False`` returns when the request is safely in the log;
        ``within``: seconds that the verdict is waited for, those of the client when not given.
        Raises Conflict when the run id is taken, another Refused when anything is wrong with the request, Unavailable
        when no answer came in time.
        """
        name, pinned, given = self._start_of(workflow, version, input)
        if debounce is not None:
            if run_id is None or begin_at is not None or if_exists != IfExists.REJECT:
                raise Refused("debounce needs a run_id, and says itself when the run begins and what if it is there")
            if_exists = IfExists.DEBOUNCE
        request = WorkflowRequest(
            request_id=asked.get("request_id") or uuid.uuid4().hex,
            run_id=self._run_id(run_id, partition_key, asked.get("request_id")),
            kind=RequestKind.START,
            workflow=name,
            version=pinned,
            if_exists=IfExists(if_exists),
            due_at=self._due_at(begin_at, debounce),
            priority=priority,
            payload=given,
            reason=reason or None,
            requested_by=asked.get("requested_by") or None,
            requested_at=self._desk.now(),
        )
        return await self._ask(request, trace, wait=asked.get("wait", True), within=asked.get("within"))

    async def signal_with_start(
        self,
        workflow: str | HasGraph,
        signal: str,
        payload: Any = None,
        *,
        run_id: str,
        input: Any = None,  # noqa: A002 - as in ``start``
        version: str | None = None,
        reason: str = "",
        trace: str | None = None,
        **asked: Unpack[Asked],
    ) -> RunHandle:
        """Hand a run a named value, and start it with ``input`` first when there is none of that id; all or nothing.

        Raises Conflict when the run that is there does not take the signal, another Refused when there is none and
        workflow, input or signal are wrong, Unavailable when no answer came in time.
        """
        name, pinned, given = self._start_of(workflow, version, input)
        request = WorkflowRequest(
            request_id=asked.get("request_id") or uuid.uuid4().hex,
            run_id=identifiers.run_id(run_id),
            kind=RequestKind.SIGNAL,
            workflow=name,
            version=pinned,
            signal=signal,
            payload=written(payload, self._limits.payload_bytes, f"the payload of {signal}"),
            start_input=given,
            reason=reason or None,
            requested_by=asked.get("requested_by") or None,
            requested_at=self._desk.now(),
        )
        return await self._ask(request, trace, wait=asked.get("wait", True), within=asked.get("within"))

    def handle(self, run_id: str) -> RunHandle:
        """A run that was started before or elsewhere; raises IdentifierRefused for what cannot be a run id."""
        return RunHandle(self._desk, identifiers.run_id(run_id))

    @asynccontextmanager
    async def following(self, run_id: str) -> AsyncGenerator[Follower]:
        """Every event of a run from now on, for who knows what was before; raises Unavailable."""
        tail, follower = await self._desk.tail(), Follower()
        tail.add(run_id, follower)
        try:
            yield follower
        finally:
            tail.remove(run_id, follower)

    async def _ask(self, request: WorkflowRequest, trace: str | None, *, wait: bool, within: float | None) -> RunHandle:
        outcome = Outcome(request.request_id)
        tail = await self._desk.tail()
        tail.add(request.run_id, outcome)  # before the request is written: its answer cannot be missed
        handle = RunHandle(self._desk, request.run_id, outcome)
        try:
            await self._desk.put(request, trace=trace)
            if wait:
                await handle.accepted(self._desk.verdict_seconds if within is None else within)
        except BaseException:
            tail.remove(request.run_id, outcome)
            raise
        return handle

    def _run_id(self, chosen: str | None, partition_key: str | None, request_id: str | None) -> str:
        if chosen is not None and partition_key is not None:
            raise Refused("the run id says the shard: give a run_id or a partition_key, not both")
        if chosen is None and request_id is not None:
            return run_ids.derived(request_id, partition_key, self._desk.shards)
        if partition_key is not None:
            return run_ids.beside(partition_key, self._desk.shards)
        return identifiers.run_id(chosen or run_ids.fresh())

    def _due_at(self, begin_at: datetime | None, debounce: Duration | None) -> int | None:
        if debounce is not None:
            return self._desk.now() + duration.milliseconds(debounce, what="debounce")
        return None if begin_at is None else milliseconds(begin_at)

    def _start_of(self, workflow: str | HasGraph, version: str | None, value: Any) -> tuple[str, str | None, bytes]:
        """Name, version and input of a run to start; raises Refused when one of them cannot be."""
        name, pinned, graph = named(workflow, version)
        data = written(value, self._limits.payload_bytes, "the input")
        if graph is not None:
            self._schema(graph).complete(payloads.decode(data))
        return name, pinned, data

    def _schema(self, graph: Graph) -> Schema:
        key = (graph.name, graph.version)
        known = self._schemas.get(key)
        if known is None or known[0] is not graph:
            known = self._schemas[key] = (graph, Schema(graph.input_schema))
        return known[1]
