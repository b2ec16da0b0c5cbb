"""The client over HTTP: it needs the address of a gateway, and nothing of Kafka."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, Self, TypedDict, Unpack

import httpx

from actionbus.client import run_ids
from actionbus.client.asking import milliseconds, written
from actionbus.client.exchange import Exchange
from actionbus.client.interface import Asked, HasGraph, Runs, Starting
from actionbus.client.naming import named
from actionbus.client.over_http_run import HttpRun
from actionbus.client.scheduling import Scheduling
from actionbus.contracts import identifiers, payloads, tokens
from actionbus.contracts.definitions import Graph, read_graph
from actionbus.contracts.errors import Refused, RunMissing
from actionbus.contracts.limits import DEFAULT_LIMITS, Limits
from actionbus.contracts.payloads import Json
from actionbus.contracts.requests import IfExists
from actionbus.contracts.validation import Schema
from actionbus.sdk import duration

ANSWER_SECONDS: Final = 60.0  # several times what a shard needs to change hands after a crash
Found = Mapping[str, Any]
"""A row as the API gives it; docs/reference has its fields."""


class RunsWanted(TypedDict, total=False):
    """Runs for which all of this holds."""

    status: list[str]
    workflow: str | None
    version: str | None
    started_after: datetime | None
    started_before: datetime | None
    updated_after: datetime | None
    updated_before: datetime | None
    error: str | None
    """Text in the error that it ended with."""
    attribute: list[str]
    """``name:value`` of what the workflow lets be searched."""
    incident: bool | None
    parent: str | None
    live: bool | None


class HttpClient(Scheduling, Runs):
    """Starts runs, finds them again, and answers steps by their tokens, through a gateway.

    ``url``: where the gateway answers, as ``http://127.0.0.1:8080``. One client serves thousands of runs at once; share
    it. What is asked is asked again, with the same request id, while the gateway is away or cannot answer, for as long
    as the caller waits. ``seconds``: how long that is when a call does not say. ``http``: a client of httpx of your
    own, with headers or certificates for what stands before the gateway; it stays yours to close.
    """

    def __init__(
        self,
        url: str,
        *,
        http: httpx.AsyncClient | None = None,
        limits: Limits = DEFAULT_LIMITS,
        seconds: float = ANSWER_SECONDS,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise Refused(f"{url!r:.80} is no address of a gateway: write it as http://127.0.0.1:8080")
        self._own = http is None
        self._http = http or httpx.AsyncClient()
        self._limits = limits
        self._exchange = Exchange(url, self._http, seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._own:
            await self._http.aclose()

    async def start(
        self,
        workflow: str | HasGraph,
        input: Any = None,  # noqa: A002 - the workflow's input, as its author calls it
        *,
        run_id: str | None = None,
        **starting: Unpack[Starting],
    ) -> HttpRun:
        """Start a run; takes and raises what ``Client.start`` does."""
        name, version, value = self._start_of(workflow, starting.get("version"), input)
        begin_at, debounce = starting.get("begin_at"), starting.get("debounce")
        key, if_exists = starting.get("partition_key"), IfExists(starting.get("if_exists", IfExists.REJECT))
        if debounce is not None and (run_id is None or begin_at is not None or if_exists != IfExists.REJECT):
            raise Refused("debounce needs a run_id, and says itself when the run begins and what if it is there")
        if key is not None and run_id is not None:
            raise Refused("the run id says the shard: give a run_id or a partition_key, not both")
        if begin_at is not None:
            milliseconds(begin_at)  # refuses a time without its zone
        # The id is made here, so that a start that is sent again means the same run. Only with a key does the gateway
        # make it, which knows the shards: of the request's id, so that it is the same one each time.
        chosen = run_id if key is not None else identifiers.run_id(run_id or run_ids.fresh())
        body = {
            "workflow": name,
            "version": version,
            "input": value,
            "run_id": chosen,
            "if_exists": if_exists.value,
            "begin_at": begin_at and begin_at.isoformat(),
            "debounce_seconds": None if debounce is None else duration.milliseconds(debounce, what="debounce") / 1000,
            "priority": starting.get("priority", 0),
            "partition_key": key,
            "reason": starting.get("reason", ""),
        }
        return await self._begin("/v1/runs", body, starting, starting.get("trace"))

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
    ) -> HttpRun:
        """Hand a run a named value, and start it first when there is none of that id; all or nothing."""
        name, pinned, value = self._start_of(workflow, version, input)
        body = {
            "workflow": name,
            "version": pinned,
            "run_id": identifiers.run_id(run_id),
            "signal": signal,
            "payload": self._json(payload, f"the payload of {signal}"),
            "input": value,
            "reason": reason,
        }
        return await self._begin("/v1/runs/signal-with-start", body, asked, trace)

    def handle(self, run_id: str) -> HttpRun:
        """A run that was started before or elsewhere; raises IdentifierRefused for what cannot be a run id."""
        return HttpRun(self._exchange, identifiers.run_id(run_id), limits=self._limits)

    async def complete_step(self, token: str, output: Any = None) -> None:
        """Say that the step is done, and what it gave."""
        tokens.read(token)
        body = {"token": token, "output": self._json(output, "the output")}
        await self._exchange.post("/v1/steps/complete", body)

    async def fail_step(
        self, token: str, error_type: str, message: str = "", *, retryable: bool = True, details: Any = None
    ) -> None:
        """Say that the attempt failed, by a name that the rules of the workflow match on."""
        tokens.read(token)
        said = {"error_type": error_type, "message": message, "retryable": retryable}
        body = {"token": token, "details": self._json(details, "the details"), **said}
        await self._exchange.post("/v1/steps/fail", body)

    async def heartbeat_step(self, token: str, details: Any = None) -> None:
        """Say that the step is still worked on; the next attempt is told the details."""
        tokens.read(token)
        body = {"token": token, "details": self._json(details, "the details")}
        await self._exchange.post("/v1/steps/heartbeat", body)

    async def workflows(self) -> Sequence[Found]:
        """Every workflow that is deployed, with its versions."""
        return (await self._exchange.get("/v1/workflows"))[1]

    def list(self, *, sort: str = "-started", **wanted: Unpack[RunsWanted]) -> AsyncGenerator[Found]:
        """Runs for which all of this holds, the newest first; those of some moments ago may not be there yet."""
        return self._pages("/v1/runs", {**_query(wanted), "sort": sort})

    async def count(self, **wanted: Unpack[RunsWanted]) -> dict[str, int]:
        """How many runs there are, by status."""
        return (await self._exchange.get("/v1/runs/count", _query(wanted)))[1]["by_status"]

    def tasks(self, workflow: str | None = None, assignee: str | None = None) -> AsyncGenerator[Found]:
        """What people are asked for, the oldest first."""
        return self._pages("/v1/tasks", _query({"workflow": workflow, "assignee": assignee}))

    def incidents(self, workflow: str | None = None) -> AsyncGenerator[Found]:
        """Runs that wait for an operator, those first that have waited longest."""
        return self._pages("/v1/incidents", _query({"workflow": workflow}))

    def dead_letters(self, topic: str | None = None, *, settled: bool = False) -> AsyncGenerator[Found]:
        """Records that could not be taken in, as they were found; ``settled``: also those that were dealt with."""
        return self._pages("/v1/dead-letters", _query({"topic": topic, "settled": settled}))

    async def settle(
        self,
        verb: Literal["replay", "drop"],
        topic: str,
        partition: int,
        offset: int,
        *,
        by: str = "",
        reason: str = "",
    ) -> None:
        """Send a dead letter once more, or set it aside; raises Conflict when that was done before, or cannot be."""
        if identifiers.TOPIC.fullmatch(topic) is None:
            raise Refused(f"{topic!r} is no name of a topic")
        path = f"/v1/dead-letters/{topic}/{partition}/{offset}/{verb}"
        await self._exchange.ask(path, {"reason": reason}, {"requested_by": by})

    async def look(self, run_id: str) -> Found:
        """A run with its steps, as the views have it; raises RunMissing."""
        return (await self._exchange.get(f"/v1/runs/{identifiers.run_id(run_id)}"))[1]

    async def graph(self, workflow: str, version: str) -> Graph | None:
        """A deployed workflow as data; None when that version is not deployed."""
        path = f"/v1/workflows/{identifiers.name('workflow', workflow)}/versions/{identifiers.version(version)}"
        try:
            _, found = await self._exchange.get(path)
        except RunMissing:
            return None
        return read_graph(payloads.encode(found["graph"]))

    async def _begin(self, path: str, body: Mapping[str, Any], asked: Asked, trace: str | None) -> HttpRun:
        request: Asked = {**asked, "request_id": asked.get("request_id") or run_ids.fresh()}
        answer = await self._exchange.ask(path, body, request, trace=trace)
        unseen = None if asked.get("wait", True) else (path, body, request)
        return HttpRun(self._exchange, answer["run_id"], limits=self._limits, start=unseen)

    async def _pages(self, path: str, query: Mapping[str, Any]) -> AsyncGenerator[Found]:
        cursor: str | None = None
        while True:
            more = {} if cursor is None else {"cursor": cursor}
            _, page = await self._exchange.get(path, {**query, **more})
            for each in page["items"]:
                yield each
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def _start_of(self, workflow: str | HasGraph, version: str | None, value: Any) -> tuple[str, str | None, Json]:
        name, pinned, graph = named(workflow, version)
        data = self._json(value, "the input")
        if graph is not None:
            Schema(graph.input_schema).check(data)
        return name, pinned, data

    def _json(self, value: Any, what: str) -> Json:
        return payloads.decode(written(value, self._limits.payload_bytes, what))


def _query(wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What httpx writes into an address; what is not wanted is not said."""
    said = {name: value for name, value in wanted.items() if value is not None}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in said.items()}
