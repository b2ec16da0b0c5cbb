"""What a client can do, whatever way it takes to the orchestrator. How it is done over Kafka is in `over_kafka`."""

from collections.abc import AsyncGenerator
from typing import Any, Protocol

from actionbus.contracts.definitions import Graph
from actionbus.contracts.events import WorkflowEvent
from actionbus.contracts.payloads import Json
from actionbus.contracts.run import WorkflowRun


class HasGraph(Protocol):
    """A workflow as code: whatever has a graph, such as a decorated function."""

    @property
    def graph(self) -> Graph:
        """The workflow as data."""
        ...


class StartedRun(Protocol):
    """One run, by its id."""

    @property
    def run_id(self) -> str:
        """The run's id."""
        ...

    async def result(self, timeout: float | None = None) -> Json:  # noqa: ASYNC109 - a caller's word for it
        """The run's output; raises RunFailed when it ends otherwise, Unavailable after ``timeout`` seconds."""
        ...

    async def cancel(self, reason: str = "") -> None:
        """Cancel the run; raises Conflict when it has ended, Refused when there is none."""
        ...

    async def state(self) -> WorkflowRun:
        """The run as it stands; raises Refused when there is none."""
        ...

    async def history(self) -> list[WorkflowEvent]:
        """What happened to the run so far, oldest first."""
        ...

    def follow(self) -> AsyncGenerator[WorkflowEvent]:
        """What happened to the run and what happens to it, until it has ended."""
        ...


class Runs(Protocol):
    """Starts runs and finds them again."""

    async def start(self, workflow: str | HasGraph, input: Any = None, *, run_id: str | None = None) -> StartedRun:  # noqa: A002 - the workflow's input
        """Start a run; raises Conflict when the id is taken, another Refused when the workflow or input is wrong."""
        ...

    def handle(self, run_id: str) -> StartedRun:
        """A run that was started elsewhere."""
        ...
