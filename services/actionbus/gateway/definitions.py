"""The deployed definitions, as they stand in their topic: read once, then followed."""

import asyncio
from contextlib import aclosing
from typing import Final

import structlog

from actionbus.contracts import definitions
from actionbus.contracts.definitions import ActionSpec, Graph, WorkflowDefinition
from actionbus.contracts.errors import ActionbusError, PayloadRefused, RecordUnreadable, Unavailable
from actionbus.contracts.nodes import Waiting
from actionbus.contracts.payloads import Json
from actionbus.contracts.records import InRecord
from actionbus.contracts.topics import Topics
from actionbus.contracts.validation import Schema
from actionbus.gateway.problems import NotFound
from actionbus.kafka.codec import Codec
from actionbus.kafka.connection import Connection
from actionbus.kafka.reader import PartitionReader
from actionbus.process import metrics

AGAIN_SECONDS: Final = 2.0  # after a broker that did not answer
REFRESH_SECONDS: Final = 10.0  # for a look whether something was deployed a moment ago

_log = structlog.get_logger(__name__)


class Deployed:
    """One deployed definition, with its graph and its schemas, which are compiled once."""

    def __init__(self, record: WorkflowDefinition) -> None:
        self.record = record
        self.graph: Graph = definitions.read_graph(record.graph)
        self._schema: Schema | None = None
        self._signals: dict[str, Schema] | None = None

    def check_input(self, value: Json) -> None:
        """Raise PayloadRefused with the place of the first mistake when a run could not begin with this."""
        if self._schema is None:
            self._schema = Schema(self.graph.input_schema)
        self._schema.complete(value)

    def check_signal(self, name: str, payload: Json) -> None:
        """Raise PayloadRefused when no run could take this signal: none waits for it, or its payload does not fit."""
        if self._signals is None:  # all that wait for one name have one schema
            waits = (node for _path, node, _depth in self.graph.nodes() if isinstance(node, Waiting))
            self._signals = {node.signal: Schema(node.payload_schema) for node in waits}
        if name not in self._signals:
            known = ", ".join(sorted(self._signals)) or "none"
            raise PayloadRefused(
                f"the workflow {self.graph.name} waits for no signal {name!r}; the signals it knows: {known}"
            )
        try:
            self._signals[name].complete(payload)
        except PayloadRefused as error:
            raise PayloadRefused(f"the signal {name} does not fit: {error}") from error


class Definitions:
    """All deployed definitions. Start it; it follows what is deployed until it is closed."""

    def __init__(self, connection: Connection, topics: Topics, codec: Codec) -> None:
        self._reader = PartitionReader(connection)
        self._topic = topics.definitions
        self._codec = codec
        self._found: dict[str, list[Deployed]] = {}
        self._position = 0
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read all of them; raises Unavailable, AccessRefused, or TopicMissing without an installation."""
        await self._reader.start()
        await self.refresh()
        self._following = asyncio.create_task(self._follow(), name="definitions")

    async def close(self) -> None:
        """Stop following."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        await self._reader.close()

    async def refresh(self) -> None:
        """Read what was deployed meanwhile; raises Unavailable."""
        try:
            async with asyncio.timeout(REFRESH_SECONDS):
                async for records in self._reader.read_to_end(self._topic, 0, start=self._position):
                    self._take(records)
        except TimeoutError as error:
            raise Unavailable(f"what is deployed could not be read within {REFRESH_SECONDS:g} s") from error

    def names(self) -> list[str]:
        """The workflows that are deployed."""
        return sorted(self._found)

    def versions(self, workflow: str) -> list[Deployed]:
        """Every version of a workflow, in the order in which they were deployed; raises NotFound when there is none."""
        found = self._found.get(workflow)
        if not found:
            raise NotFound(f"no workflow {workflow} is deployed; there are {', '.join(self.names()) or 'none'}")
        return found

    async def wanted(self, workflow: str, version: str | None) -> Deployed:
        """A version of a workflow, None: the newest; looked for again before it is said that there is none."""
        try:
            return self.version(workflow, version)
        except NotFound:
            await self.refresh()
            return self.version(workflow, version)

    def version(self, workflow: str, version: str | None) -> Deployed:
        """A version of a workflow, None: the newest; raises NotFound."""
        found = self.versions(workflow)
        if version is None:
            return found[-1]
        one = next((each for each in found if each.graph.version == version), None)
        if one is None:
            known = ", ".join(each.graph.version for each in found)
            raise NotFound(f"workflow {workflow} has no version {version}; it has {known}")
        return one

    def actions(self) -> dict[str, ActionSpec]:
        """Every action that a deployed workflow uses, as the latest definition that uses it says."""
        latest = sorted((each for found in self._found.values() for each in found), key=lambda d: d.record.deployed_at)
        return dict(sorted((name, spec) for each in latest for name, spec in each.graph.actions.items()))

    async def _follow(self) -> None:
        while True:
            try:
                async with aclosing(self._reader.follow({(self._topic, 0): self._position})) as pages:
                    async for records in pages:
                        self._take(records)
            except ActionbusError as error:
                _log.warning("definitions are not followed at the moment", reason=str(error))
            await asyncio.sleep(AGAIN_SECONDS)

    def _take(self, records: list[InRecord]) -> None:
        for record in records:
            if record.offset < self._position:
                continue
            self._position = record.offset + 1
            if record.value is None:
                continue
            try:
                one = Deployed(self._codec.decode(WorkflowDefinition, record.value))
            except (RecordUnreadable, ActionbusError) as error:
                metrics.RECORDS_IGNORED.labels("definitions").inc()
                _log.error("a definition cannot be read", offset=record.offset, error=str(error))
                continue
            versions = self._found.setdefault(one.graph.name, [])
            if all(each.graph.version != one.graph.version for each in versions):
                versions.append(one)
