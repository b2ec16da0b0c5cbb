"""The deployed workflows, as the definitions topic tells them, compiled for the engine."""

from collections.abc import Iterable
from typing import Final, Protocol

import structlog

from actionbus.contracts.definitions import WorkflowDefinition
from actionbus.contracts.errors import DefinitionRefused, RecordUnreadable
from actionbus.contracts.limits import Limits
from actionbus.contracts.nodes import EmitNode
from actionbus.contracts.records import InRecord
from actionbus.engine.definition import Definition
from actionbus.engine.schedule import ScheduleDefinition
from actionbus.kafka.codec import Codec
from actionbus.orchestrator.log import Log
from actionbus.process import metrics

PARTITION: Final = 0  # the definitions topic has one

_log = structlog.get_logger(__name__)


class Pinned(Protocol):
    """What is pinned to a definition, such as a run."""

    @property
    def workflow(self) -> str:
        """The name."""
        ...

    @property
    def definition_version(self) -> str:
        """The version."""
        ...

    @property
    def definition_hash(self) -> str:
        """The hash of the content."""
        ...


class Definitions:
    """Every definition by name and version. A run keeps the one it was started with; nothing replaces a version."""

    def __init__(self, log: Log, topic: str, codec: Codec, *, limits: Limits, run_retention_ms: int) -> None:
        self._log = log
        self._topic = topic
        self._codec = codec
        self._limits = limits
        self._run_retention_ms = run_retention_ms
        self._next_offset: int | None = None
        built_in = ScheduleDefinition(limits=limits, run_retention_ms=run_retention_ms)
        self._known: dict[tuple[str, str], Definition] = {(built_in.name, built_in.version): built_in}
        self._newest: dict[str, Definition] = {built_in.name: built_in}
        self.actions: set[str] = set()  # of every version that is deployed
        self.emitted: set[str] = set()  # the topics that they may emit to

    @property
    def workflows(self) -> Iterable[str]:
        """The names of all workflows, the built-in one included."""
        return self._newest.keys()

    def find(self, name: str, version: str | None) -> Definition | None:
        """The definition of that version, or the one that was deployed last."""
        return self._newest.get(name) if version is None else self._known.get((name, version))

    def of(self, run: Pinned) -> Definition | None:
        """The definition a run is pinned to; None when it is not there, or not with that content."""
        found = self._known.get((run.workflow, run.definition_version))
        return found if found is not None and found.hash == run.definition_hash else None

    async def catch_up(self) -> None:
        """Read what was deployed up to now."""
        if self._next_offset is None:
            self._next_offset = await self._log.earliest(self._topic, PARTITION)
        async for records in self._log.read(self._topic, PARTITION, self._next_offset):
            self._take(records)

    async def follow(self) -> None:
        """Read what is deployed from now on, for ever."""
        await self.catch_up()
        assert self._next_offset is not None  # noqa: S101 - catch_up has set it
        async for records in self._log.follow({(self._topic, PARTITION): self._next_offset}):
            self._take(records)

    def _take(self, records: list[InRecord]) -> None:
        for record in records:
            if self._next_offset is not None and record.offset >= self._next_offset:  # both readers meet a record
                self._next_offset = record.offset + 1
                self.note(record)

    def note(self, record: InRecord) -> None:
        """Take in one record; one that makes no sense is passed over with a word in the log, it stops nobody."""
        if record.value is None:
            return  # a tombstone: runs may still need what it names
        try:
            written = self._codec.decode(WorkflowDefinition, record.value)
            compiled = Definition.deployed(written, limits=self._limits, run_retention_ms=self._run_retention_ms)
        except (RecordUnreadable, DefinitionRefused, ValueError) as error:
            metrics.RECORDS_IGNORED.labels("definitions").inc()
            _log.error("a definition cannot be used", offset=record.offset, key=str(record.key), error=str(error))
            return
        key = (compiled.name, compiled.version)
        known = self._known.get(key)
        if known is not None and known.hash != compiled.hash:
            metrics.RECORDS_IGNORED.labels("definitions").inc()
            _log.error("another content under the same version is refused", workflow=key[0], version=key[1])
            return
        self._known[key] = compiled
        self._newest[compiled.name] = compiled
        self.actions.update(compiled.graph.actions)
        self.emitted.update(topic for action in compiled.graph.actions.values() for topic in action.emits)
        self.emitted.update(node.topic for _, node, _ in compiled.graph.nodes() if isinstance(node, EmitNode))
